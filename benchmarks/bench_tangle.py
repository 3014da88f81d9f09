"""Tangling takes time linear in the size of the book: 75, 150 and 300 chapters, processor time."""

import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import tangle

LISTING = '''A paragraph about function {i}, of the length that a paragraph has in a chapter.

```python file=policywerk/part_{part}/module_{i}.py
from math import {name}


def function_{i}(values):
    """Add up what the values come to."""
    total = 0.0
    for value in values:
        <<weigh the value of {part}.{i}>>
    return total
```

The weight of a value is small where the value is large.

```python name="weigh the value of {part}.{i}"
weight = 1.0 / (1.0 + value * value)
if weight > 0.5:
    weight = {name}(weight)
for _ in range({i}):
    weight *= 0.99
    if weight < 1e-6:
        break
total += weight * value
```
'''
FILLER = "\n".join(f"    value_{k} = {k} * values[0]" for k in range(16))


def make(root: Path, chapters: int) -> int:
    """Write a book of so many chapters, with 20 listings each; the number of its lines of code."""
    (root / "book").mkdir(parents=True)
    lines = 0
    for part in range(chapters):
        blocks = [LISTING.format(i=i, part=part, name=("sqrt", "exp", "tanh")[i % 3])
                  for i in range(10)]
        text = "\n".join(blocks).replace("    return total", f"{FILLER}\n    return total")
        (root / f"book/chapter-{part:03}.md").write_text(text)
        lines += sum(len(x.lines) for x in tangle.read_chapter("a", text)[0])
    toc = "".join(f"- file: book/chapter-{part:03}\n" for part in range(chapters))
    (root / "_toc.yml").write_text(toc)
    return lines


def main() -> None:
    print("chapters  listings    lines  seconds  microseconds a line  (to the smallest book's)")
    first = 0.0
    for chapters in (75, 150, 300):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "book"
            lines = make(root, chapters)
            start = time.process_time()
            book = tangle.load(root)
            seconds = time.process_time() - start
            assert not book.problems
        cost = seconds / lines * 1e6
        first = first or cost
        print(f"{chapters:8}  {20 * chapters:8,}  {lines:7,}  {seconds:7.2f}  {cost:19.1f}  "
              f"{cost / first:.2f}")


if __name__ == "__main__":
    main()

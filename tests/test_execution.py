"""The execution of chapters: what runs again and what does not, and what a failing cell says."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from execution import Store, recipe
from myst_nb.core.read import read_myst_markdown_notebook
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

EXTENSIONS = Path(__file__).resolve().parents[1] / "book" / "_ext"

FRONT = """\
---
file_format: mystnb
kernelspec:
  name: python3
---

"""
PAGES = {
    "_toc.yml": """\
format: jb-book
root: book/one
chapters:
- file: book/two
- file: book/three
""",
    "book/one.md": FRONT
    + """\
# One

```python file=policywerk/shared.py
def double(number):
    return 2 * number
```

```python file=policywerk/deep.py
from policywerk.shared import double


def quadruple(number):
    <<double it twice>>
```

```python name="double it twice"
return double(double(number))
```

```{code-cell}
from policywerk.deep import quadruple
quadruple(10)
```
""",
    "book/two.md": FRONT
    + """\
# Two

```python file=policywerk/other.py
def half(number):
    return number / 2
```

```{code-cell}
:tags: [hide-input]

from pathlib import Path
import stage.evidence
from policywerk.other import half
half(stage.evidence.load())
```
""",
    "book/three.md": FRONT
    + """\
# Three

```{code-cell}
print("nothing but itself")
```
""",
    "book/stage/evidence.py": """\
from pathlib import Path

def load():
    return float(Path(__file__).parents[1].joinpath("evidence", "run.txt").read_text())
""",
    "book/evidence/run.txt": "84",
}


class Book:
    """A small book in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name, text in PAGES.items():
            self.write(name, text)
        self.tangle()

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def tangle(self) -> None:
        import tangle

        for name, lines in tangle.load(self.root).files.items():
            text = "".join(f"{line.text}\n" for line in lines)
            path = self.root / "src" / name
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                self.write(f"src/{name}", text)

    def build(self, capfd: pytest.CaptureFixture[str]) -> list[str]:
        """Tangle and build; the chapters that were executed, or SystemExit."""
        self.tangle()
        with docutils_namespace():
            app = Sphinx(
                self.root,
                None,
                self.root / "_build" / "html",
                self.root / "_build" / ".doctrees",
                "html",
                {
                    "extensions": ["myst_nb", "execution"],
                    "root_doc": "book/one",
                    "exclude_patterns": ["_build"],
                    "html_theme": "basic",
                    "suppress_warnings": ["toc.not_included"],
                    "myst_fence_as_directive": [],
                    "nb_execution_timeout": 30,
                },
                status=None,
                warning=io.StringIO(),
            )
            capfd.readouterr()
            app.build()
        progress = capfd.readouterr().err.splitlines()
        return sorted(
            re.match(r"executed book/(\w+) in \d+\.\d s, \d+ MB \(", line)[1] for line in progress
        )

    def page(self, name: str) -> str:
        html = (self.root / "_build" / "html" / "book" / f"{name}.html").read_text(encoding="utf-8")
        return re.sub(r"<[^>]+>", "", html)


def test_a_chapter_runs_again_when_and_only_when_what_it_depends_on_changes(tmp_path, capfd):
    book = Book(tmp_path)
    assert book.build(capfd) == ["one", "three", "two"]
    assert "40" in book.page("one") and "42.0" in book.page("two")

    assert book.build(capfd) == []

    book.edit("book/one.md", "# One", "# One, in other words")
    for path in tmp_path.rglob("book/**/*.*"):
        path.touch()
    assert book.build(capfd) == []
    assert "in other words" in book.page("one") and "40" in book.page("one")

    # A listing two imports away from the cell.
    book.edit("book/one.md", "return 2 * number", "return 3 * number")
    assert book.build(capfd) == ["one"]
    assert "90" in book.page("one")

    # A file read by a module that the cell imports.
    book.edit("book/evidence/run.txt", "84", "86")
    assert book.build(capfd) == ["two"]
    assert "43.0" in book.page("two")

    # Back to what has been run before, as after a change of branch.
    book.edit("book/evidence/run.txt", "86", "84")
    assert book.build(capfd) == []
    assert "42.0" in book.page("two")

    # How a cell is shown is not what it does.
    book.edit("book/two.md", "[hide-input]", "[remove-input]")
    assert book.build(capfd) == []
    assert "import" not in book.page("two") and "42.0" in book.page("two")


def test_a_failing_cell_fails_each_time_and_names_the_lines(tmp_path, capfd):
    book = Book(tmp_path)
    book.edit("book/one.md", "return double(double(number))", "return double(number / 0)")
    book.edit("book/three.md", 'print("nothing but itself")', 'print("fine")\n\n\nmissing + 1')
    place = {
        text: PAGES["book/one.md"].splitlines().index(text) + 1
        for text in ["quadruple(10)", "return double(double(number))"]
    }
    cell = place["quadruple(10)"] - 1
    start = FRONT.count("\n") + 4
    for attempt in ("first", "second"):
        with pytest.raises(SystemExit) as stop:
            book.build(capfd)
        message = str(stop.value)
        assert message.count("this cell raises") == 2, attempt
        assert f"book/one.md:{cell}: this cell raises ZeroDivisionError: " in message
        assert f"book/one.md:{place['quadruple(10)']}\n      quadruple(10)" in message
        inside = place["return double(double(number))"]
        assert f"book/one.md:{inside} (src/policywerk/deep.py:" in message
        assert "in quadruple\n      return double(number / 0)" in message
        assert f"book/three.md:{start}: this cell raises NameError: name 'missing' is" in message
        assert f"book/three.md:{start + 3}\n      missing + 1" in message
    book.edit("book/one.md", "number / 0", "double(number)")
    book.edit("book/three.md", "missing + 1", "1 + 1")
    assert book.build(capfd) == ["one", "three"], "the chapter that did not fail was kept"


def test_a_cell_that_hangs_is_named(tmp_path, capfd):
    book = Book(tmp_path)
    book.write("book/one.md", "# Nothing to run\n")
    book.edit(
        "book/three.md", "name: python3\n", "name: python3\nmystnb:\n  execution_timeout: 1\n"
    )
    book.edit("book/three.md", 'print("nothing but itself")', "while True: pass")
    with pytest.raises(SystemExit, match=r"book/three\.md:\d+: this cell was stopped after 1 s"):
        book.build(capfd)


def test_an_interrupted_build_leaves_no_kernel_behind(tmp_path):
    book = Book(tmp_path)
    book.edit(
        "book/three.md",
        "print(",
        "import os, time; open(os.environ['PIDFILE'], 'w').write("
        "str(os.getpid())); time.sleep(60)\nprint(",
    )
    pidfile = tmp_path / "pid"
    options = [
        "-D",
        "extensions=myst_nb,execution",
        "-D",
        "root_doc=book/one",
        "-D",
        "html_theme=basic",
    ]
    build = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-q",
            "-C",
            *options,
            str(tmp_path),
            str(tmp_path / "_build/html"),
        ],
        env={**os.environ, "PYTHONPATH": str(EXTENSIONS), "PIDFILE": str(pidfile)},
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell may ignore it
    )
    try:
        deadline = time.monotonic() + 30
        while not (pidfile.exists() and pidfile.read_text()):
            assert time.monotonic() < deadline and build.poll() is None
            time.sleep(0.05)
        build.send_signal(signal.SIGINT)
        build.wait(timeout=15)
    finally:
        build.kill()
    time.sleep(0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pidfile.read_text()), 0)


def notebook_of(text: str):
    return read_myst_markdown_notebook(text)


def test_the_recipe_is_the_cells_and_the_interpreter(monkeypatch):
    text = PAGES["book/two.md"]
    same = recipe(notebook_of(text))
    assert recipe(notebook_of(text + "\nOne more paragraph.\n")) == same
    assert recipe(notebook_of(text.replace("[hide-input]", "[hide-cell]"))) == same
    assert recipe(notebook_of(text.replace("half(stage", "half(1 + stage"))) != same
    assert recipe(notebook_of(text.replace("[hide-input]", "[raises-exception]"))) != same
    monkeypatch.setattr(sys, "platform", "another")
    assert recipe(notebook_of(text)) == same
    monkeypatch.setattr(sys, "version_info", (3, 99, 0))
    assert recipe(notebook_of(text)) != same
    monkeypatch.undo()
    monkeypatch.setattr("execution.version", lambda name: "99.0")
    assert recipe(notebook_of(text)) != same


def test_a_kept_run_holds_while_its_files_do(tmp_path):
    (tmp_path / "data.txt").write_text("1")

    def found() -> Path | None:
        return Store(tmp_path / "store", tmp_path).find("recipe")

    assert found() is None
    path = Store(tmp_path / "store", tmp_path).keep(
        "recipe", ["data.txt", "absent.txt"], {"cells": []}
    )
    assert found() == path
    (tmp_path / "data.txt").write_text("2")
    assert found() is None
    (tmp_path / "data.txt").write_text("1")
    assert found() == path
    (tmp_path / "absent.txt").write_text("a file looked for in vain, and now there")
    assert found() is None
    (tmp_path / "data.txt").unlink()
    assert found() is None


def test_runs_that_no_build_uses_are_dropped_after_a_month(tmp_path):
    store = Store(tmp_path, tmp_path)
    old, used = store.keep("old", [], {}), store.keep("used", [], {})
    for path in (old, used):
        os.utime(path, (0, 0))
    store.sweep({used})
    assert used.exists() and not old.exists()

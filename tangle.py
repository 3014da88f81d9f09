#!/usr/bin/env python3
"""The chapters hold the code: this takes their listings out and writes src/.

    python tangle.py                    write src/ from the chapters
    python tangle.py --discard          the same, dropping edits made by hand in src/
    python tangle.py check              exit 1, with a diff, if src/ is not what the chapters say
    python tangle.py where FILE:LINE    from a line of src/ to its chapter, or the other way
    python tangle.py list               every file, with the listings it is made of

Exit status: 0 done or in sync, 1 drift or a conflict, 2 a mistake in the book or the arguments.
`row` is a line number in a chapter, counted from 1; `parts` are listings that are joined;
a `border` is where one part ends and the next begins.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

try:
    from markdown_it import MarkdownIt
except ImportError:
    sys.exit("tangle.py needs markdown-it-py: `make book` or pip installs it")
try:
    import fcntl
except ImportError:  # Windows has no such lock; keep two runs apart yourself there
    fcntl = None  # type: ignore[assignment]


class Problem(NamedTuple):
    """A mistake in the book: where it stands, what is wrong and what to do."""
    path: str
    row: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.row}: {self.message}"


class Line(NamedTuple):
    """A line of a tangled file and the chapter line it comes from (row 0: it has none)."""
    text: str
    chapter: str = ""
    row: int = 0
    indent: int = 0  # columns that references have added


@dataclass(frozen=True)
class Listing:
    """A fence that is code of the package; `line` is the row of the fence."""
    chapter: str
    line: int
    file: str | None
    name: str | None
    lines: list[str] = field(repr=False)

    @property
    def first(self) -> int:
        """The row of the first line of code."""
        return self.line + 1

    def references(self) -> list[tuple[int, str]]:
        """The fragments this listing asks for, with their rows."""
        matches = ((row, REFERENCE.match(text)) for row, text in enumerate(self.lines, self.first))
        return [(row, match[2].strip()) for row, match in matches if match]


@dataclass
class Book:
    """The chapters in reading order, and everything that follows from their texts."""
    texts: dict[str, str]
    listings: list[Listing] = field(default_factory=list)
    files: dict[str, list[Line]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def chapters(self) -> list[str]:
        return list(self.texts)

    def source(self, file: str) -> str:
        return "".join(f"{line.text}\n" for line in self.files[file])


# ------------------------------------------------------------ from a chapter to its listings

REFERENCE = re.compile(r"^( *)<<([^<>]+)>> *$")
NESTED = re.compile(r"^[ \t>*+-]*(?:`{3,}|~{3,}) *python[ \t]+(?:file|name)=")
COLONS = re.compile(r"^ {0,3}(:{3,})(.*)$")
SHOWN = ("{code", "{sourcecode", "{math", "{raw", "{literal")  # directives that hold no Markdown
MARKDOWN = MarkdownIt("commonmark")
MARKDOWN.core.ruler.enableOnly(["normalize", "block"])


def read_info(info: str) -> dict[str, str]:
    """The attributes after ```python: file=, name= or both; {} for an ordinary block."""
    try:
        words = shlex.split(info)
    except ValueError:
        raise ValueError('a quotation mark is not closed; write name="..."') from None
    attributes: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        value = value.strip()
        if key not in ("file", "name") or not equals:
            raise ValueError(f"unknown attribute {word!r}; a listing takes file= and name=")
        if key in attributes:
            raise ValueError(f"{key}= stands twice; keep one")
        if not value or not value.isprintable() or (key == "name" and set(value) & set("<>")):
            raise ValueError(f"{key}={value!r} cannot be used; give it plain text, without < and >")
        if key == "file" and ({"", ".", ".."} & set(value.split("/")) or set(value) & set(":\\")):
            raise ValueError(f"file={value} leaves src/; give a path below src/")
        if key == "file" and not value.endswith(".py"):
            raise ValueError(f"file={value} is no Python file; end it in .py")
        attributes[key] = value
    return attributes


def read_chapter(chapter: str, text: str) -> tuple[list[Listing], list[Problem]]:
    """The listings of one chapter, and what is wrong with its fences."""
    lines = re.split(r"\r\n?|\n", text)
    body = list(lines)
    if body[0].rstrip() == "---":  # front matter is no Markdown
        end = next((i for i, line in enumerate(body[1:], 1) if line.rstrip() in ("---", "...")), 0)
        body[:end + 1] = [""] * (end + 1)
    listings: list[Listing] = []
    problems: list[Problem] = []

    def wrong(i: int, message: str) -> None:
        problems.append(Problem(chapter, i + 1, message))

    def nested(rows: range) -> None:
        for i in rows:
            if NESTED.match(lines[i]):
                wrong(i, "a listing inside another block; move it to the top level of the chapter")

    fenced: set[int] = set()
    for token in MARKDOWN.parse("\n".join(body)):
        if token.type == "html_block" and not token.content.lstrip().startswith("<!--"):
            nested(range(*token.map))
        if token.type != "fence":
            continue
        start, stop = token.map
        language, info = (*token.info.split(None, 1), "", "")[:2]
        if token.level:
            nested(range(start, start + 1))
            continue
        fenced.update(range(start + 1, stop))
        closing = rf" *{re.escape(token.markup[0])}{{{len(token.markup)},}}[ \t]*"
        if stop - start < 2 or not re.fullmatch(closing, lines[stop - 1]):
            wrong(start, f"this fence is never closed; end it with a line {token.markup}")
        elif language.startswith("{") and not language.startswith(SHOWN):
            nested(range(start + 1, stop))
        elif language.lower() in ("py", "python", "python3") and info:
            code = lines[start + 1:stop - 1]
            if language != "python":
                wrong(start, f"{language!r} cannot begin a listing; write python")
            if lines[start].startswith(" "):
                wrong(start, "the listing is indented; move its fence to the left margin")
            for i, text in enumerate(code, start + 1):
                if re.match(r" *\t", text):
                    wrong(i, "a tab in the indentation; use spaces")
            try:
                given = read_info(info)
                file, name = given.get("file"), given.get("name")
                listings.append(Listing(chapter, start + 1, file, name, code))
            except ValueError as error:
                wrong(start, str(error))

    colons = 0  # MyST's ::: blocks, which CommonMark does not know
    for i, line in enumerate(body):
        if i not in fenced and (match := COLONS.match(line)):
            opens = bool(match[2].strip())
            if not colons and opens:
                colons = len(match[1])
            elif colons and not opens and len(match[1]) >= colons:
                colons = 0
        if i not in fenced and colons:
            nested(range(i, i + 1))
    return listings, problems


# ------------------------------------------------------------ from listings to files

class Import(NamedTuple):
    """One imported name; `comment` is the statement as written, if it carries a comment."""
    module: str
    name: str  # "" for `import module`
    alias: str
    comment: str
    chapter: str
    row: int


def split_head(part: Listing) -> tuple[list[Import], list[tuple[str, int]]]:
    """The imports at the head of a listing, after its docstring if it has one, and the rest."""
    rows = [(text, row) for row, text in enumerate(part.lines, part.first)]
    i = docstring_end(part.lines) if part.file else 0
    head, imports = rows[:i], []
    while i < len(rows):
        text, stop = part.lines[i], i + 1
        while "(" in text and ")" not in text and stop < len(rows):
            text, stop = f"{text}\n{part.lines[stop]}", stop + 1
        found = read_imports(text, part.chapter, part.first + i)
        if found is None:
            break
        imports += found
        i = stop
    return imports, head + rows[i:]


def docstring_end(lines: list[str]) -> int:
    """How many lines the docstring takes that opens this text; 0 if none does."""
    quotes = re.match(r'[rR]?("""|\'\'\')', lines[0]) if lines else None
    if quotes is None:
        return 0
    rest = [lines[0][quotes.end():], *lines[1:]]
    return next((i + 1 for i, line in enumerate(rest) if quotes[1] in line), 0)


def read_imports(text: str, chapter: str, row: int) -> list[Import] | None:
    """The names a statement imports ([] for a blank line); None if it is something else."""
    if text.strip() and not text.startswith(("import ", "from ")):
        return None
    found, comment = [], text if "#" in text else ""
    try:
        for node in ast.parse(text).body:
            if not isinstance(node, ast.Import | ast.ImportFrom):
                return None
            for item in node.names:
                if isinstance(node, ast.Import):
                    names = item.name, ""
                else:
                    names = "." * node.level + (node.module or ""), item.name
                found.append(Import(*names, item.asname or "", comment, chapter, row))
    except (SyntaxError, ValueError):
        return None
    return found


def import_lines(imports: list[Import], own: set[str]) -> list[Line]:
    """Imports as a careful person writes them: grouped, sorted, once each."""
    groups: dict[tuple, list[Import]] = {}
    for item in imports:
        top, alias = item.module.partition(".")[0], f" as {item.alias}" if item.alias else ""
        standard = 1 if top in sys.stdlib_module_names else 2
        section = 0 if top == "__future__" else 4 if not top else 3 if top in own else standard
        whole = item.comment or (f"import {item.module}{alias}" if not item.name else
                                 f"from {item.module} import {item.name}{alias}" if alias else "")
        groups.setdefault((section, bool(item.name), item.module, whole), []).append(item)
    lines: list[Line] = []
    last = None
    for (section, _, module, whole), items in sorted(groups.items()):
        names = {item.name for item in items}
        ordered = sorted(names, key=lambda name: (  # CONSTANTS, then Classes, then functions
            0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2, name))
        text = whole or f"from {module} import {', '.join(ordered)}"
        if len(text) > 100 and not whole:
            text = "\n    ".join([f"from {module} import (", *(f"{x}," for x in ordered)]) + "\n)"
        if last not in (None, section):
            lines.append(Line(""))
        lines += [Line(line, items[0].chapter, items[0].row) for line in text.split("\n")]
        last = section
    return lines


BESIDE, AROUND = 1, 0  # borders: between two parts of one thing; around a reference
DEFINITION = re.compile(r" *(?:(?:async +)?def|class)\b| *@")
CONTINUES = re.compile(r" *(?:[)\]}]|(?:else|elif|except|finally)\b)")


def unfold(parts: list[Listing], fragments: dict[str, list[Listing]],
           imports: list[Import]) -> Iterator[Line | int]:
    """The lines of these parts, every reference replaced, and the borders between them."""
    def rows(parts: list[Listing]) -> Iterator[tuple[str, str, int] | int]:
        for i, part in enumerate(parts):
            yield BESIDE if i else AROUND
            head, body = split_head(part)
            imports.extend(head)
            yield from ((text, part.chapter, row) for text, row in body)
        yield AROUND

    stack = [(0, rows(parts))]
    while stack:
        indent, items = stack[-1]
        for item in items:
            if isinstance(item, int):
                yield item
            elif match := REFERENCE.match(item[0]):
                stack.append((indent + len(match[1]), rows(fragments[match[2].strip()])))
                break
            else:
                text, chapter, row = item
                yield Line(" " * indent + text if text.strip() else text, chapter, row, indent)
        else:
            stack.pop()


def spaced(queue: list[Line | int]) -> list[Line]:
    """Lines, with blank ones at the borders where a careful person would have put them."""
    out: list[Line] = []
    blank: list[Line] = []
    border = None
    for i, item in enumerate(queue):
        if isinstance(item, int):
            border = max(border or 0, item)
        elif not item.text.strip():
            blank.append(item)
        else:
            if border is not None and out:
                wanted = blank_lines(out, item.text, defines(queue, i), border)
                blank += [Line("")] * (wanted - len(blank))
            out += [*blank, item] if out else [item]
            blank, border = [], None
    return out


def defines(queue: list[Line | int], i: int) -> bool:
    """Whether a definition begins here, the comments above it included."""
    lines = (item.text for item in islice(queue, i, None) if isinstance(item, Line))
    return bool(DEFINITION.match(next((x for x in lines if not x.lstrip().startswith("#")), "")))


def blank_lines(before: list[Line], text: str, defines: bool, border: int) -> int:
    """How many belong at a border: two around a top-level definition, one around a nested one."""
    depth = len(text) - len(text.lstrip())
    if CONTINUES.match(text) or before[-1].text.lstrip().startswith("@"):
        return 0
    for line in reversed(before):
        above = len(line.text) - len(line.text.lstrip())
        if line.text.strip() and above <= depth and not CONTINUES.match(line.text):
            break
    else:
        return border
    if above == depth and (defines or DEFINITION.match(line.text)):
        return 1 if depth else 2
    return 0 if depth else border


def write_out(parts: list[Listing], fragments: dict[str, list[Listing]],
              own: set[str]) -> list[Line]:
    """A whole file: where it comes from, its docstring, its imports, its code."""
    imports: list[Import] = []
    body = spaced(list(unfold(parts, fragments, imports)))
    sources = dict.fromkeys(x.chapter for x in [*parts, *body, *imports] if x.chapter)
    end = docstring_end([line.text for line in body])
    out = [Line("# Tangled from " + ", ".join(sources)), *body[:end]]
    if imports:
        out += [Line(""), *import_lines(imports, own)]
    while end < len(body) and not body[end].text.strip():
        end += 1
    if body[end:]:
        out += [Line("")] * (2 if defines(list(body), end) else 1)
    return out + body[end:]


def python_problem(lines: list[Line]) -> Problem | None:
    """The first reason why these lines are not Python, at the chapter line it stands on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = "".join(f"{line.text}\n" for line in lines)
            compile(source, "listing", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        number = getattr(error, "lineno", None) or len(lines)
        above = lines[min(number, len(lines)) - 1::-1]
        near = next(line for line in [*above, *lines] if line.row)
        reason = re.sub(r"(?<=\bon )line (\d+)", lambda match: "{0.chapter}:{0.row}".format(
            lines[int(match[1]) - 1]), str(getattr(error, "msg", error)))
        message = f"not valid Python: {reason}; mend this listing"
        return Problem(near.chapter, near.row, message)
    return None


def assemble(texts: dict[str, str]) -> Book:
    """Everything that follows from the chapters' texts alone."""
    book = Book(texts)
    for chapter, text in texts.items():
        listings, problems = read_chapter(chapter, text)
        book.listings += listings
        book.problems += problems
    fragments: dict[str, list[Listing]] = {}
    files: dict[str, list[Listing]] = {}
    uses: dict[str, list[tuple[Listing, int]]] = {}

    def wrong(part: Listing, row: int, message: str) -> None:
        book.problems.append(Problem(part.chapter, row, message))

    for part in book.listings:
        if part.name:
            home = fragments.setdefault(part.name, [])
            if home and home[0].chapter != part.chapter:
                wrong(part, part.line, f"fragment <<{part.name}>> is already defined in "
                      f"{home[0].chapter}:{home[0].line}; give one of the two another name")
                continue
            home.append(part)
        if part.file:
            files.setdefault(part.file, []).append(part)
            if part.name:
                uses.setdefault(part.name, []).append((part, part.line))
        for row, name in part.references():
            uses.setdefault(name, []).append((part, row))

    broken: set[str | None] = set()  # fragments that cannot be unfolded
    for name, [(first, at), *again] in uses.items():
        home = fragments.get(name, [])
        for part, row in again:
            wrong(part, row, f"<<{name}>> is used a second time, first at {first.chapter}:{at}; "
                  "a fragment is used once: make it a function, or write it out here")
        if not home:
            near = difflib.get_close_matches(name, fragments, 1)
            cure = f"did you mean <<{near[0]}>>?" if near else f'add a listing with name="{name}"'
            wrong(first, at, f"<<{name}>> is not defined; {cure}")
        elif home[0].chapter != first.chapter:
            wrong(first, at, f"<<{name}>> belongs to {home[0].chapter}:{home[0].line}; "
                  "a fragment is used in its own chapter, so define it here under another name")
        if again or not home:
            broken.add(name)
    for name, [part, *_] in fragments.items():
        if name not in uses:
            wrong(part, part.line, f"fragment <<{name}>> is never used; "
                  f"write <<{name}>> where it belongs, or remove it")
    used_by = {name: part.name if row > part.line else None
               for name, [(part, row), *_] in uses.items() if name in fragments}
    for ring in rings(used_by):
        part, row = uses[ring[0]][0]
        chain = " -> ".join([*ring, ring[0]])
        wrong(part, row, f"<<{ring[0]}>> uses itself: {chain}; take one link out")
        broken.update(ring)
    name_clashes(files, wrong)

    own = {path.partition("/")[0].removesuffix(".py") for path in files}
    for path, parts in files.items():
        parts = [piece for part in parts for piece in fragments.get(part.name or "", [part])]
        needed: set[str | None] = {part.name for part in parts}
        todo = list(parts)
        while todo:
            names = {name for _, name in todo.pop().references()} - needed
            todo += [piece for name in names for piece in fragments.get(name, [])]
            needed |= names
        if not needed & broken:
            book.files[path] = write_out(parts, fragments, own)
            if problem := python_problem(book.files[path]):
                book.problems.append(problem)
    place = {chapter: i for i, chapter in enumerate(texts)}
    book.problems = sorted(set(book.problems), key=lambda x: (place[x.path], x.row, x.message))
    return book


def rings(user: dict[str, str | None]) -> Iterator[list[str]]:
    """Each ring of fragments that use one another, once, in the order of use."""
    done: set[str] = set()
    for start in user:
        walk: list[str] = []
        name: str | None = start
        while name in user and name not in done:
            done.add(name)
            walk.append(name)
            name = user[name]
        if name in walk:
            yield walk[walk.index(name):][::-1]


def name_clashes(files: dict[str, list[Listing]], wrong) -> None:
    """Two paths that differ only in case, and a file and a folder of one name."""
    seen: dict[str, tuple[str, bool]] = {}
    for path, [part, *_] in files.items():
        pieces, at = path.split("/"), part.line
        for i in range(1, len(pieces) + 1):
            prefix, is_file = "/".join(pieces[:i]), i == len(pieces)
            known, was_file = seen.setdefault(prefix.casefold(), (prefix, is_file))
            if known != prefix:
                wrong(part, at, f"src/{prefix} differs from src/{known} only in case; rename it")
            elif was_file != is_file:
                wrong(part, at, f"src/{prefix} would be both a file and a folder; rename it")


# ------------------------------------------------------------ the book on disk

CHAPTER = re.compile(r"""^\s*(?:-\s+)?(?:root|file):\s*["']?([^"'#]+?)["']?\s*(?:#.*)?$""")


def reading_order(toc: str) -> dict[str, int]:
    """The chapters that _toc.yml names, with their lines in it."""
    found = [(m[1], i) for i, line in enumerate(toc.splitlines(), 1) if (m := CHAPTER.match(line))]
    return {name if name.endswith(".md") else f"{name}.md": i for name, i in found}


def load(root: Path) -> Book:
    """The book in this folder, read and checked."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    if not (root / "_toc.yml").is_file():
        message = f"not found in {root}; say where the book is with --root"
        return Book({}, problems=[Problem("_toc.yml", 1, message)])
    for chapter, line in reading_order(decode(root, "_toc.yml", problems)).items():
        if (root / chapter).is_file():
            texts[chapter] = decode(root, chapter, problems)
        else:
            message = f"{chapter} is not there; write it, or take this line out"
            problems.append(Problem("_toc.yml", line, message))
    for path in sorted((root / "book").rglob("*.md")):
        chapter = path.relative_to(root).as_posix()
        if chapter not in texts:
            for part in read_chapter(chapter, decode(root, chapter, []))[0][:1]:
                message = "a listing in a chapter that _toc.yml does not name; add it there"
                problems.append(Problem(chapter, part.line, message))
    book = assemble(texts)
    src = (root / "src").resolve()
    for part in book.listings:
        if part.file and not (src / part.file).resolve().is_relative_to(src):
            message = f"file={part.file} leaves src/ through a symbolic link; remove the link"
            problems.append(Problem(part.chapter, part.line, message))
    place = {"_toc.yml": -1} | {chapter: i for i, chapter in enumerate(texts)}
    book.problems = sorted([*problems, *book.problems],
                           key=lambda x: (place.get(x.path, len(texts)), x.row))
    return book


def decode(root: Path, name: str, problems: list[Problem]) -> str:
    data = (root / name).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[:error.start].count(b"\n") + 1
        problems.append(Problem(name, row, "bytes that are not UTF-8; save the file as UTF-8"))
        return data.decode("utf-8", "replace")


def on_disk(path: Path) -> str | None:
    """A file's text with plain line ends; None if there is no such file."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    except FileNotFoundError:
        return None


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    if not mode & 0o200:
        raise PermissionError(13, "is read-only; make it writable, or remove it", str(path))
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """One run at a time in one book."""
    (root / ".tangle").mkdir(exist_ok=True)
    with open(root / ".tangle" / "lock", "w") as lock:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Memory:
    """The books that src/ may have been tangled from: the last ones here, and git's at HEAD.

    A file that equals what one of them gives was not edited by hand. What is kept is the
    chapters, in .tangle/, which git ignores: no merge and no change of branch can break it.
    """
    def __init__(self, root: Path):
        self.root, self.path = root, root / ".tangle" / "last.json"
        self.known: list[Book] | None = None

    def texts(self) -> list[dict[str, str]]:
        try:
            return json.loads(self.path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return []

    def keep(self, *texts: dict[str, str]) -> None:
        if self.texts() != list(texts):
            write(self.path, json.dumps(texts))

    def books(self) -> list[Book]:
        """The newest first."""
        if self.known is None:
            self.known = [assemble(texts) for texts in [*self.texts()[::-1], self.committed()]]
        return self.known

    def committed(self) -> dict[str, str]:
        """The chapters as git has them at HEAD; none where there is no git."""
        chapters = list(reading_order(self.git("_toc.yml").get("_toc.yml", "")))
        return self.git(*chapters)

    def git(self, *names: str) -> dict[str, str]:
        asked = "".join(f"HEAD:./{name}\n" for name in names).encode()
        try:
            data = subprocess.run(["git", "-C", self.root, "cat-file", "--batch"], input=asked,
                                  capture_output=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return {}
        texts = {}
        for name in names:
            head, _, data = data.partition(b"\n")
            if not head.endswith(b"missing"):
                size = int(head.split()[-1])
                texts[name], data = data[:size].decode("utf-8-sig", "replace"), data[size + 1:]
        return texts

    def makes(self, file: str) -> list[Book]:
        """The books in which some listing makes this file."""
        return [book for book in self.books() if file in book.files]

    def made(self, file: str, text: str | None) -> bool:
        """Whether a file with this text was tangled, and not edited since."""
        return any(book.source(file) == text for book in self.makes(file))


# ------------------------------------------------------------ the verbs

def tangle(root: Path, discard: bool = False) -> int:
    """Write src/ from the chapters."""
    with alone(root):
        book, memory = load(root), Memory(root)
        if book.problems:
            return report(book.problems)
        now = {file: on_disk(root / "src" / file) for file in [*book.files, *strays(root, book)]}
        new = {file: book.source(file) if file in book.files else None for file in now}
        work = {file: text for file, text in new.items() if text != now[file]}
        work = {file: text for file, text in work.items() if text is not None or memory.makes(file)}
        present = [file for file in work if now[file] is not None]
        edited = [file for file in present if not memory.made(file, now[file])]
        if edited and not discard:
            for file in edited:
                print(f"src/{file} was edited by hand:")
                show((memory.makes(file) or [book])[0].files[file], now[file] or "")
            return complain("nothing was written; `tangle.py stitch` carries the edits into the "
                            "book, `tangle.py --discard` drops them", 1)
        if work:
            memory.keep(*memory.texts()[-1:], book.texts)  # both, until every file is written
        for file, text in work.items():
            if text is None:
                remove(root / "src", file)
            else:
                write(root / "src" / file, text)
            print(f"{'removed' if text is None else 'wrote'} src/{file}")
        memory.keep(book.texts)
    return 0


def strays(root: Path, book: Book) -> list[str]:
    """Python files below src/ that no listing makes."""
    src = root / "src"
    found = sorted(path.relative_to(src).as_posix() for path in src.rglob("*.py"))
    return [path for path in found if path not in book.files]


def remove(src: Path, file: str) -> None:
    """Remove a file, and the folders this leaves empty."""
    (src / file).unlink()
    for folder in list((src / file).parents)[:file.count("/")]:
        if any(item.name != "__pycache__" for item in folder.iterdir()):
            break
        for cache in folder.glob("__pycache__"):
            for compiled in cache.iterdir():
                compiled.unlink()
            cache.rmdir()
        folder.rmdir()


def check(root: Path) -> int:
    """Compare src/ with what the chapters say."""
    book = load(root)
    if book.problems:
        return report(book.problems)
    drift = [file for file in book.files if on_disk(root / "src" / file) != book.source(file)]
    for file in drift:
        print(f"src/{file} is not what the chapters say:")
        show(book.files[file], on_disk(root / "src" / file) or "")
    for file in strays(root, book):
        drift.append(file)
        print(f"src/{file} is made by no listing")
    return complain("run `tangle.py` to write src/ from the chapters", 1) if drift else 0


def show(lines: list[Line], now: str) -> None:
    """The changes from tangled lines to a text, each at its chapter line."""
    old, new = [line.text for line in lines], now.splitlines()
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            near = next((line for line in [*lines[i:], *lines[i::-1]] if line.row), Line(""))
            print(f"  {near.chapter}:{near.row}")
            changes = [f"  - {text}" for text in old[i:j]] + [f"  + {text}" for text in new[k:m]]
            print("\n".join(changes))


def where(root: Path, place: str) -> int:
    """From a line of src/ to its chapter, or the other way; a column may follow the line."""
    match = re.fullmatch(r"(.+?):(\d+)(?::(\d+))?", place)
    if match is None:
        return complain(f"{place}: expected FILE:LINE, such as book/1957-bellman.md:120")
    path, number, column = match[1], int(match[2]), int(match[3] or 0)
    for base in (Path.cwd(), root):  # as the caller sees it, then as the book names it
        full = (base / match[1]).resolve()
        if full.is_relative_to(root.resolve()) and full.exists():
            path = full.relative_to(root.resolve()).as_posix()
            break
    book = load(root)
    if book.problems:
        return report(book.problems)
    lines = book.files.get(path.removeprefix("src/"), [])
    if lines and path not in book.texts:
        there = lines[number - 1:number] if number else []
        found = [(x.chapter, x.row, -x.indent) for x in there if x.row]
    elif path in book.texts:
        found = [(f"src/{file}", i, x.indent) for file, lines in book.files.items()
                 for i, x in enumerate(lines, 1) if (x.chapter, x.row) == (path, number)]
    else:
        return complain(f"{path} is neither a chapter nor a tangled file")
    for target, line, shift in found:
        print(f"{target}:{line}" + (f":{max(1, column + shift)}" if column else ""))
    return 0 if found else complain(f"{path}:{number} has no line on the other side")


def contents(root: Path) -> int:
    """Every file, with the listings it is made of."""
    book = load(root)
    if book.problems:
        return report(book.problems)
    for file, lines in book.files.items():
        rows = {(line.chapter, line.row) for line in lines}
        print(f"src/{file} ({len(lines)} lines)")
        for part in book.listings:
            span = range(part.first, part.first + len(part.lines))
            if part.file == file or any((part.chapter, row) in rows for row in span):
                print(f"    {part.chapter}:{part.line}  {part.name or ''}".rstrip())
    return 0


def report(problems: list[Problem]) -> int:
    return complain("\n".join(map(str, problems)))


def complain(message: str, status: int = 2) -> int:
    print(message, file=sys.stderr)
    return status


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tangle.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", nargs="?", default="tangle", metavar="VERB",
                        choices=["tangle", "check", "where", "list"])
    parser.add_argument("place", nargs="?", metavar="FILE:LINE", help="for where")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent,
                        help="the book's folder")
    parser.add_argument("--discard", action="store_true", help="drop edits made by hand in src/")
    given = parser.parse_args(arguments)
    if (given.verb == "where") != bool(given.place):
        parser.error("where takes FILE:LINE, the other verbs take nothing")
    if given.discard and given.verb != "tangle":
        parser.error("--discard goes with tangling")
    try:
        match given.verb:
            case "check":
                return check(given.root)
            case "where":
                return where(given.root, given.place)
            case "list":
                return contents(given.root)
        return tangle(given.root, given.discard)
    except OSError as error:
        return complain(f"{error.filename or given.root}: {error.strerror or error}")


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The chapters hold the code: this takes their listings out, writes src/, and carries edits back.

    python tangle.py                    write src/ from the chapters
    python tangle.py --discard          the same, dropping edits made by hand in src/
    python tangle.py check              exit 1, with a diff, if src/ is not what the chapters say
    python tangle.py stitch             carry edits made by hand in src/ into the chapters
    python tangle.py watch              carry every save to the other side, until Ctrl-C
    python tangle.py where FILE:LINE    from a line of src/ to its chapter, or the other way
    python tangle.py list               every file, with the listings it is made of

Exit status: 0 done or in sync, 1 drift or a conflict, 2 a mistake in the book or the arguments.
`row` is a line number in a chapter, counted from 1; `parts` are listings that are joined.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
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
    """Something wrong: where it stands, what it is and what to do."""
    path: str
    row: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.row}: {self.message}"


class Refused(Exception):
    """A run that stops: what to say, and the exit status."""
    def __init__(self, message: str | list[Problem], status: int = 2):
        super().__init__(message if isinstance(message, str) else "\n".join(map(str, message)))
        self.status = status


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

    @property
    def end(self) -> int:
        """The row of the fence that closes it."""
        return self.first + len(self.lines)


@dataclass
class Book:
    """The chapters in reading order, and everything that follows from their texts."""
    texts: dict[str, str]
    listings: list[Listing] = field(default_factory=list)
    fragments: dict[str, list[Listing]] = field(default_factory=dict)
    uses: dict[tuple[str, int], str] = field(default_factory=dict)  # the fragment of a reference
    parts: dict[str, list[Listing]] = field(default_factory=dict)  # of each file
    files: dict[str, list[Line]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def source(self, file: str) -> str | None:
        """A file's text; None if no listing makes it."""
        lines = self.files.get(file)
        return None if lines is None else "".join(f"{line.text}\n" for line in lines)

    def inside(self, file: str) -> list[Listing]:
        """All listings of a file, fragments after the listing that uses them."""
        found, todo = [], self.parts[file][::-1]
        while todo:
            found.append(part := todo.pop())
            rows = range(part.first, part.first + len(part.lines))
            names = [self.uses[part.chapter, row] for row in rows if (part.chapter, row) in self.uses]
            todo += [piece for name in names for piece in self.fragments[name]][::-1]
        return found


# ------------------------------------------------------------ from a chapter to its listings

ROW = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+$")
REFERENCE = re.compile(r"^( *)<<([^<>]+)>> *$")
ATTRIBUTE = re.compile(r"""(file|name)=(?:"([^"]*)"|'([^']*)'|([^\s"']+))(?:\s+|$)""")
PYTHON = re.compile(r"(py|python|python3)\s+(.+)", re.I)
LISTING = re.compile(r"(?:[ \t>*+-]|\d+[.)])*(`{3,}|~{3,}) *(py|python|python3)\s+(file|name)=", re.I)
COLONS = re.compile(r" {0,3}:{3,}(.*)")
SHOWN = ("{code", "{sourcecode", "{math", "{raw", "{literal")  # directives that hold no Markdown
MARKDOWN = MarkdownIt("commonmark")
MARKDOWN.core.ruler.enableOnly(["normalize", "block"])


def split(text: str) -> list[str]:
    """A text's lines, whatever their ends, without a byte order mark."""
    return re.split(r"\r\n?|\n", text.removeprefix("\ufeff"))


def read_info(info: str) -> dict[str, str]:
    """The attributes after ```python: file=, name= or both; {} for an ordinary block."""
    found = [(key, "".join(values).strip()) for key, *values in ATTRIBUTE.findall(info)]
    given, rest = dict(found), ATTRIBUTE.sub("", info).strip()
    if rest or len(given) < len(found):
        raise ValueError(f"cannot read {rest or info!r}; "
                         'a listing takes file=... and name="...", each once')
    file, name = given.get("file", "a.py"), given.get("name", "a")
    if ({"", ".", ".."} & set(file.split("/")) or set(file) & set(":\\")
            or not file.endswith(".py") or not file.isprintable()):
        raise ValueError(f"file={file} is no Python file below src/; "
                         "write a path such as policywerk/actors/bellman.py")
    if not name or not name.isprintable() or set(name) & set("<>"):
        raise ValueError(f"name={name!r} cannot be used; give it plain text, without < and >")
    return given


@lru_cache(maxsize=1000)
def read_chapter(chapter: str, text: str) -> tuple[list[Listing], list[Problem]]:
    """The listings of one chapter, and what is wrong with its fences."""
    lines, listings, problems = split(text), [], []
    top: set[int] = set()  # where fences begin at top level
    shown: set[int] = set()  # lines that are shown as they stand

    def wrong(i: int, message: str) -> None:
        problems.append(Problem(chapter, i + 1, message))

    for token in MARKDOWN.parse("\n".join(lines)):
        start, stop = token.map or (0, 0)
        fence, info = token.type == "fence", token.info.strip()
        comment = token.type == "html_block" and token.content.lstrip().startswith("<!--")
        directive = info.startswith("{") and not info.startswith(SHOWN)
        if comment or token.type == "code_block" or (fence and not directive):
            shown.update(range(start + fence, stop))
        if not fence or token.level:
            continue
        top.add(start)
        if stop - start < 2 or not re.fullmatch(rf" *{token.markup}+[ \t]*", lines[stop - 1]):
            wrong(start, f"this fence is never closed; end it with a line {token.markup}")
        elif match := PYTHON.fullmatch(info):
            code = lines[start + 1:stop - 1]
            for i, line in enumerate(code, start + 1):
                if re.match(r" *\t", line):
                    wrong(i, "a tab in the indentation; use spaces")
            try:
                given = read_info(match[2])
                file, name = given.get("file"), given.get("name")
                listings.append(Listing(chapter, start + 1, file, name, code))
            except ValueError as error:
                wrong(start, str(error))

    depth = 0  # of MyST's ::: blocks, which CommonMark does not know
    for i, line in enumerate(lines):
        if i in shown:
            continue
        if match := COLONS.match(line):
            depth = max(0, depth + (1 if match[1].strip() else -1))
        elif match := LISTING.match(line):
            if depth or i not in top or match.start(1) or match[2] != "python":
                wrong(i, "a listing begins with ```python at the left margin, "
                      "inside no other block; write it so")
    return listings, problems


# ------------------------------------------------------------ from listings to files

class Head(NamedTuple):
    """How a listing begins: its docstring, its imports, and where each of them ends."""
    doc: int
    stop: int  # behind the last import
    rest: int  # the first line that is neither import nor blank
    imports: list[tuple[int, str]]  # one for each name, with its line


STRING = re.compile(r'[rR]?("""|\'\'\')(?s:.*?)\1.*\n')
IMPORT = re.compile(r"(?:[ \t]*\n)*(import .*|from [^(\n]*(?:\([^)]*\))?.*)\n")


def read_head(lines: list[str], docstring: bool) -> Head:
    """The docstring, where there may be one, and the imports that come before anything else."""
    text = "".join(f"{line}\n" for line in lines)
    match = STRING.match(text) if docstring else None
    at, imports = match.end() if match else 0, []
    stop = doc = text.count("\n", 0, at)
    while (match := IMPORT.match(text, at)) and (names := read_import(match[1])):
        at, stop = match.end(), stop + match[0].count("\n")
        imports += [(stop - 1 - match[1].count("\n"), name) for name in names]
    rest = next((i for i in range(stop, len(lines)) if lines[i].strip()), len(lines))
    return Head(doc, stop, rest, imports)


@lru_cache(maxsize=10_000)
def read_import(text: str) -> list[str]:
    """An import as statements of one name each, or whole with its comment; [] if it is none."""
    try:
        [node] = ast.parse(text).body
        before = ast.unparse(node).partition("import ")[0]
        names = [f"{before}import {ast.unparse(name)}" for name in node.names]
    except (SyntaxError, ValueError, AttributeError, RecursionError, MemoryError):
        return []
    return [text] if "#" in text else names


def import_lines(imports: list[Line], book: Book) -> list[Line]:
    """Imports as a careful person writes them: grouped, sorted, once each."""
    own = {re.split(r"[/.]", file)[0] for file in book.parts}
    groups: dict[tuple, list[Line]] = {}
    for line in imports:
        kind, module, *name = line.text.split()
        top = module.partition(".")[0]
        standard = 1 if top in sys.stdlib_module_names else 2
        section = 0 if top == "__future__" else 4 if not top else 3 if top in own else standard
        whole = "" if kind == "from" and len(name) == 2 and "#" not in line.text else line.text
        groups.setdefault((section, kind == "from", module, whole), []).append(line)
    lines: list[Line] = []
    last = None
    for (section, _, module, whole), items in sorted(groups.items()):
        names = sorted({line.text.split()[-1] for line in items}, key=lambda name: (
            0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2, name))
        text = whole or f"from {module} import {', '.join(names)}"
        if len(text) > 100 and not whole:
            text = "\n    ".join([f"from {module} import (", *(f"{x}," for x in names)]) + "\n)"
        lines += [Line("")] * (last not in (None, section))
        lines += [items[0]._replace(text=line) for line in text.split("\n")]
        last = section
    return lines


DEFINITION = re.compile(r" *(?:(?:async +)?def|class)\b| *@")
CONTINUES = re.compile(r" *(?:[)\]}]|(?:else|elif|except|finally)\b)")


def pieces(parts: list[Listing], indent: int) -> list[Line | None]:
    """The lines of these parts without their imports, and None where one part meets another."""
    items: list[Line | None] = [None]
    for part in parts:
        head = read_head(part.lines, bool(part.file))
        items += [Line(text, part.chapter, part.first + i, indent)
                  for i, text in enumerate(part.lines) if not head.doc <= i < head.rest]
        items.append(None)
    return items


def write_out(book: Book, file: str) -> list[Line]:
    """A whole file: where it comes from, its docstring, its imports, its code."""
    parts = book.parts[file]
    chapters = ", ".join(dict.fromkeys(part.chapter for part in parts))
    imports = [Line(name, part.chapter, part.first + i) for part in book.inside(file)
               for i, name in read_head(part.lines, bool(part.file)).imports]
    body, start = pieces(parts, 0), 1 + read_head(parts[0].lines, bool(parts[0].file)).doc
    return join(book, [Line(f"# Tangled from {chapters}"), *body[1:start], None,
                       *import_lines(imports, book), None, *body[start:]])


def join(book: Book, items: list[Line | None]) -> list[Line]:
    """Lines with each reference replaced, and blank lines at the Nones as a person puts them."""
    out, gap, border, todo = [], [], False, items[::-1]
    while todo:
        item = todo.pop()
        if item is None:
            border = True
        elif name := book.uses.get((item.chapter, item.row)):
            todo += pieces(book.fragments[name], item.indent + indentation(item.text))[::-1]
        elif not item.text.strip():
            gap.append(item)
        else:
            item = item._replace(text=" " * item.indent + item.text)
            if border:
                ahead = (x.text for x in itertools.chain([item], reversed(todo)) if x)
                code = next((x for x in ahead if not x.lstrip().startswith("#")), "")
                wanted = blank_lines(out, item.text, bool(DEFINITION.match(code)))
                gap += [Line("")] * (wanted - len(gap))
            out += [*gap, item]
            gap, border = [], False
    return out


def indentation(text: str) -> int:
    return len(text) - len(text.lstrip())


def blank_lines(before: list[Line], text: str, defines: bool) -> int:
    """How many belong between parts: two around a top-level definition, one around a nested one."""
    depth = indentation(text)
    if CONTINUES.match(text) or before[-1].text.lstrip().startswith("@"):
        return 0
    above = next((x.text for x in reversed(before) if x.text.strip()
                  and indentation(x.text) <= depth and not CONTINUES.match(x.text)), "")
    if indentation(above) == depth and (defines or DEFINITION.match(above)):
        return 1 if depth else 2
    return 0 if depth else 1


@lru_cache(maxsize=1000)
def mistake(source: str) -> tuple[int | None, str] | None:
    """The line of the first reason why this is not Python, and the reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "listing", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        reason = str(getattr(error, "msg", error)).partition(" on line ")[0]
        return getattr(error, "lineno", None), reason
    return None


def python_problems(lines: list[Line]) -> list[Problem]:
    """Why these lines are not Python, if they are not, at the place that the first mistake has."""
    found = mistake("".join(f"{line.text}\n" for line in lines))
    if found is None:
        return []
    near = next(x for x in [*lines[(found[0] or len(lines)) - 1::-1], *lines] if x.row)
    return [Problem(near.chapter, near.row, f"not valid Python: {found[1]}; mend it here")]


def assemble(texts: dict[str, str], only: str | None = None) -> Book:
    """Everything that follows from the chapters' texts alone; of the files, `only` one or all."""
    book = Book(texts)
    uses: dict[str, list[tuple[Listing, int]]] = {}  # where each fragment stands
    for chapter, text in texts.items():
        listings, problems = read_chapter(chapter, text)
        book.listings += listings
        book.problems += problems
    for part in book.listings:
        if part.name:
            book.fragments.setdefault(part.name, []).append(part)
        if part.file:
            book.parts.setdefault(part.file, []).append(part)
        if part.file and part.name:
            uses.setdefault(part.name, []).insert(0, (part, part.line))
        for row, text in enumerate(part.lines, part.first):
            if match := REFERENCE.match(text):
                uses.setdefault(match[2].strip(), []).append((part, row))
    book.uses = {(part.chapter, row): name for name, [(part, row), *_] in uses.items()
                 if name in book.fragments and row > part.line}
    book.problems += mistakes(book, uses)
    for path, parts in book.parts.items():
        parts[:] = [piece for part in parts for piece in book.fragments.get(part.name or "", [part])]
        if only in (None, path):
            book.files[path] = lines = write_out(book, path)
            if not only and not any(REFERENCE.match(line.text) for line in lines):
                book.problems += python_problems(lines)
    return book


def mistakes(book: Book, uses: dict[str, list[tuple[Listing, int]]]) -> Iterator[Problem]:
    """What is wrong with the names of fragments and files."""
    for name, [part, *more] in book.fragments.items():
        for other in more:
            if other.chapter != part.chapter:
                yield Problem(other.chapter, other.line, f"fragment <<{name}>> is already defined "
                              f"in {part.chapter}:{part.line}; give one of the two another name")
        if name not in uses:
            yield Problem(part.chapter, part.line, f"fragment <<{name}>> is never used; "
                          f"write <<{name}>> where it belongs, or remove it")
    for name, [(first, at), *again] in uses.items():
        if name not in book.fragments:
            near = difflib.get_close_matches(name, book.fragments, 1)
            cure = f"did you mean <<{near[0]}>>?" if near else f'add a listing with name="{name}"'
            yield Problem(first.chapter, at, f"<<{name}>> is not defined; {cure}")
        elif (home := book.fragments[name][0]).chapter != first.chapter:
            yield Problem(first.chapter, at, f"<<{name}>> belongs to {home.chapter}:{home.line}; a "
                          "fragment is used in its own chapter: define it here, by another name")
        for part, row in again:
            yield Problem(part.chapter, row, f"<<{name}>> is used a second time, first at "
                          f"{first.chapter}:{at}; make it a function, or write it out here")
    user = {name: part.name for name, [(part, row), *_] in uses.items() if row > part.line}
    in_cycle: set[str] = set()
    for name in user:
        chain = [name]
        while (above := user.get(chain[-1])) and above not in chain:
            chain.append(above)
        if above == name and name not in in_cycle:
            in_cycle.update(chain)
            part, row = uses[name][0]
            yield Problem(part.chapter, row, f"<<{name}>> uses itself: "
                          f"{' -> '.join([name, *chain[::-1]])}; take one link out")
    spelled: dict[str, str] = {}
    for path, [part, *_] in book.parts.items():
        for place in [path, *(f"{folder}/" for folder in PurePosixPath(path).parents)][:-1]:
            known = spelled.setdefault(place.casefold().rstrip("/"), place)
            if known != place:
                yield Problem(part.chapter, part.line, f"src/{place} would stand in the place of "
                              f"src/{known} on some systems; rename one")


# ------------------------------------------------------------ from an edited file to its chapters

class Edit(NamedTuple):
    """Rows `start` up to `stop`, that one excluded, of a chapter become these lines."""
    chapter: str
    start: int
    stop: int
    lines: list[str]


def apply(texts: dict[str, str], edits: list[Edit]) -> dict[str, str]:
    """The chapters' texts with these edits made, in plain lines."""
    lines = {chapter: split(texts[chapter]) for chapter in {edit.chapter for edit in edits}}
    for chapter, start, stop, new in sorted(edits, key=lambda edit: edit[:3])[::-1]:
        lines[chapter][start - 1:stop - 1] = new
    return texts | {chapter: "\n".join(rows) for chapter, rows in lines.items()}


def same(old: list, new: list) -> int:
    """How many items two lists have in common at their beginning."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(old), len(new)))


def changes(old: list, new: list) -> list[list[int]]:
    """Where two lists differ: each [i, j, k, m] says that old[i:j] has become new[k:m]."""
    head = same(old, new)
    tail = same(old[head:][::-1], new[head:][::-1])
    a, b = old[head:len(old) - tail], new[head:len(new) - tail]
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=len(a) + len(b) > 5000)
    return [[head + n for n in region] for tag, *region in matcher.get_opcodes() if tag != "equal"]


def regions(old: list[str], new: list[str]) -> Iterator[list[int]]:
    """Where two files differ, each line taken together with the blank lines before it."""
    def ends(texts: list[str]) -> list[int]:
        return [0, *(i for i, text in enumerate(texts, 1) if text.strip() or i == len(texts))]

    at, to = ends(old), ends(new)
    for i, j, k, m in changes([old[i:j] for i, j in itertools.pairwise(at)],
                              [new[i:j] for i, j in itertools.pairwise(to)]):
        blank = same(old[at[i]:at[j]], new[to[k]:to[m]])
        yield [at[i] + blank, at[j], to[k] + blank, to[m]]


class Seams:
    """Where changed lines of a file may go.

    They go to the listing that they come from, and new lines between two listings to the end of
    the earlier one. If tangling would not give the file back then, other places are tried: beside
    the references that lead there, and at the beginning of the later one.
    """
    def __init__(self, book: Book, file: str):
        self.old, self.parts, self.last = book.files[file], book.inside(file), book.parts[file][-1]
        self.home = {(part.chapter, row): part for part in self.parts
                     for row in range(part.line, part.end + 1)}
        self.user = {name: place for place, name in book.uses.items()}

    def ways(self, i: int, j: int, text: list[str]) -> Iterator[list[Edit]]:
        """Edits that could make the lines i to j of the file this text, the best first."""
        was = self.old[i:j]
        pairs = [(x, outdented([new], x.indent)) for x, new in zip(was, text, strict=False)]
        if len(was) == len(text) and all(new if x.row else new == [""] for x, new in pairs):
            yield [Edit(x.chapter, x.row, x.row + 1, new) for x, new in pairs if x.row and new]
        if not text:
            was = self.removed(i, j)
        owned = [line for line in was if line.row]
        gone = [Edit(line.chapter, line.row, line.row + 1, []) for line in owned]
        if not text:
            yield gone
        elif self.owners(owned) < 2:
            for chapter, row, indent, lines in self.spots(i, j, owned, text):
                if (fitting := outdented(lines, indent)) is not None:
                    yield [*gone, Edit(chapter, row, row, fitting)]
        if text and (tail := same([line.text for line in was[::-1]], text[::-1])):
            yield from self.ways(i, j - tail, text[:-tail])

    def spots(self, i: int, j: int, owned: list[Line], text: list[str]) -> Iterator[tuple]:
        """The places for new lines, with their indents: after what is above, before what is below."""
        top, before, after = self.parts[0], [*self.old[:i], *owned], [*owned, *self.old[j:]]
        above = next((x for x in reversed(before) if x.row), Line("", top.chapter, top.line))
        for chapter, row, indent in self.climb(above):
            yield chapter, row + 1, indent, text
        full = (x for x in after if x.row and x.text.strip())
        gap = [x.text for x in itertools.takewhile(lambda x: not x.text.strip(), after)]
        if gap:  # the blank lines go below the new lines then
            text = [*itertools.dropwhile(lambda x: not x.strip(), text), *gap]
        for chapter, row, indent in self.climb(next(full, Line("", self.last.chapter, self.last.end))):
            yield chapter, row, indent, text

    def climb(self, line: Line) -> Iterator[tuple[str, int, int]]:
        """The place of a line, then those of the references that lead to it, with indents."""
        _, chapter, row, indent = line
        while True:
            yield chapter, row, indent
            place = self.user.get(self.home[chapter, row].name or "")
            if place is None:
                return
            chapter, row = place
            part = self.home[place]
            indent -= indentation(part.lines[row - part.first])

    def removed(self, i: int, j: int) -> list[Line]:
        """The lines i to j, or others whose removal leaves the same, so as to touch few listings."""
        texts, up, down = [line.text for line in self.old], i, j
        while up and texts[up - 1] == texts[up - 1 + j - i]:
            up -= 1
        while down < len(texts) and texts[down] == texts[down - j + i]:
            down += 1
        choices = (self.old[n:n + j - i] for n in (i, up, down - j + i))
        return min(choices, key=self.owners)

    def owners(self, lines: list[Line]) -> int:
        """How many listings these lines come from."""
        return len({self.home[line.chapter, line.row].line for line in lines if line.row})

    def near(self, i: int, j: int) -> str:
        """The chapter lines around the lines i to j of the file."""
        found = ([x for x in self.old[i:j] if x.row] or
                 [x for x in self.old[max(i - 1, 0):j + 2] if x.row])
        return " and ".join(dict.fromkeys(f"{x.chapter}:{x.row}" for x in [*found[:1], *found[-1:]]))


def outdented(lines: list[str], indent: int) -> list[str] | None:
    """Lines with so many columns taken away in front; None where there are fewer."""
    if all(line.startswith(" " * indent) for line in lines if line.strip()):
        return [line[indent:] if line.strip() else line for line in lines]
    return None


def move_imports(book: Book, file: str, now: list[str]) -> Iterator[Edit]:
    """The edits that add and take away the imports of a file, at the heads of its listings."""
    parts = book.inside(file)
    heads = [read_head(part.lines, bool(part.file)) for part in parts]
    wanted = [name for _, name in read_head(now[1:], True).imports]
    names = [[name for _, name in head.imports if name in wanted] for head in heads]
    modules = [{name.split()[1] for _, name in head.imports} for head in heads]
    known = {name for head in heads for _, name in head.imports}
    for name in dict.fromkeys(name for name in wanted if name not in known):
        best = max(range(len(parts)), key=lambda n: (name.split()[1] in modules[n], bool(modules[n])))
        names[best].append(name)
    for part, head, mine in zip(parts, heads, names, strict=True):
        if mine != [name for _, name in head.imports]:
            lines = [x.text for x in import_lines([Line(name) for name in mine], book)]
            if lines:
                lines = [""] * bool(head.doc) + lines + [""] * (head.rest == head.doc)
            stop = head.stop if lines or head.doc else head.rest
            yield Edit(part.chapter, part.first + head.doc, part.first + stop, lines)


def unpick(base: Book, edited: dict[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """The chapters that make these files what they are now, and what has no place in them."""
    def wrong(texts: dict[str, str]) -> list[str]:
        """The files that these chapters do not give back."""
        book = assemble(texts)
        return [file for file in base.files
                if book.source(file) != edited.get(file, base.source(file))]

    after = {file: split(text)[:-1] for file, text in edited.items()}
    moves = [edit for file, now in after.items() for edit in move_imports(base, file, now)]
    book = assemble(apply(base.texts, moves)) if moves else base
    before = {file: [line.text for line in book.files[file]] for file in edited}
    changed = [(file, Seams(book, file), region) for file, now in after.items()
               for region in regions(before[file], now)]
    best = [next(seams.ways(i, j, after[file][k:m]), []) for file, seams, (i, j, k, m) in changed]
    texts = apply(book.texts, sum(best, []))
    if not wrong(texts):
        return texts, []
    edits: list[Edit] = []  # one change after the other, each with the first edits that give it
    problems: dict[str, Problem] = {}
    for file, seams, (i, j, k, m) in changed:
        for way in seams.ways(i, j, after[file][k:m]):
            trial = assemble(apply(book.texts, edits + way), file)
            if [x.text for x in trial.files.get(file, [])] == after[file][:m] + before[file][j:]:
                edits += way
                break
        else:
            message = (f"no one place near {seams.near(i, j)} gives this back (the first line, the "
                       "order of imports and the blank lines between listings are the tangler's); "
                       "make the change there")
            problems.setdefault(file, Problem(f"src/{file}", min(k + 1, len(after[file])), message))
    return apply(book.texts, edits), list(problems.values())


def carry(chapter: str, base: str, ours: str, theirs: str) -> tuple[str, list[Problem]]:
    """Their text with our changes, every other byte as it is; and where the two sides meet."""
    was, mine, lines, rows = split(base), split(ours), split(theirs), ROW.findall(theirs)
    hunks, problems = changes(was, lines), []
    for a, b, c, d in reversed(changes(was, mine) if mine != lines else []):
        met = [hunk for hunk in hunks if hunk[0] < b and a < hunk[1] or hunk[:2] == [a, b]]
        if not met:
            at = a + sum(m - k - (j - i) for i, j, k, m in hunks if j <= a)
            end = rows[at - 1][len(rows[at - 1].rstrip("\r\n")):]
            rows[at:at + b - a] = [line + end for line in mine[c:d]]
            continue
        (i, j, k, m), *_ = met
        if ([i, j], lines[k:m]) != ([a, b], mine[c:d]):
            both = [f"    chapter: {x}" for x in lines[k:m]] + [f"    src:     {x}" for x in mine[c:d]]
            problems.append(Problem(chapter, k + 1, "\n".join([
                "changed here and in src/; make the two agree, then stitch again", *both])))
    return "".join(rows), problems[::-1]


# ------------------------------------------------------------ the book on disk

CHAPTER = re.compile(r"""^\s*(?:-\s+)?(?:root|file):\s*["']?([^"'#]+?)["']?\s*(?:#.*)?$""")


def reading_order(toc: str) -> dict[str, int]:
    """The chapters that _toc.yml names, with their lines in it."""
    found = [(m[1], i) for i, line in enumerate(split(toc), 1) if (m := CHAPTER.match(line))]
    return {name if name.endswith(".md") else f"{name}.md": i for name, i in found}


def load(root: Path) -> Book:
    """The book in this folder, read and checked."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    toc, src = on_disk(root / "_toc.yml"), (root / "src").resolve()
    if toc is None:
        problems = [Problem("_toc.yml", 1, f"not found in {root}; say where the book is with --root")]
    for chapter, row in reading_order(toc or "").items():
        text = on_disk(root / chapter)
        if text is None:
            message = f"{chapter} is not there; write it, or take this line out"
            problems.append(Problem("_toc.yml", row, message))
        elif bad := re.search("[\udc80-\udcff]", text):
            message = "bytes that are not UTF-8; save the file as UTF-8"
            problems.append(Problem(chapter, len(split(text[:bad.start()])), message))
        texts[chapter] = text or ""
    for path in sorted((root / "book").rglob("*.md")):
        chapter = path.relative_to(root).as_posix()
        for part in read_chapter(chapter, on_disk(path) or "")[0][:1] * (chapter not in texts):
            message = "a listing in a chapter that _toc.yml does not name; add it there"
            problems.append(Problem(chapter, part.line, message))
    book = assemble(texts)
    for part in book.listings:
        if part.file and not (src / part.file).resolve().is_relative_to(src):
            message = f"file={part.file} leaves src/ through a symbolic link; remove the link"
            problems.append(Problem(part.chapter, part.line, message))
    place = {"_toc.yml": -1} | {chapter: i for i, chapter in enumerate(texts)}
    book.problems = sorted(dict.fromkeys(problems + book.problems),
                           key=lambda problem: (place.get(problem.path, len(texts)), problem.row))
    return book


def sound(root: Path) -> Book:
    """The book in this folder, if nothing is wrong with it."""
    if (book := load(root)).problems:
        raise Refused(book.problems)
    return book


def on_disk(path: Path) -> str | None:
    """A file's text, byte for byte; None if there is no such file."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def plain(text: str) -> str:
    """A text with plain line ends, at the last line too."""
    return "\n".join(split(text)).removesuffix("\n") + "\n"


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def remove(root: Path, name: str) -> None:
    """Remove a file below src/, and the folders this leaves empty."""
    (root / name).unlink(missing_ok=True)
    for folder in list((root / name).parents)[:name.count("/") - 1]:
        if folder.is_dir() and all(item.name == "__pycache__" for item in folder.iterdir()):
            shutil.rmtree(folder)


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """One run at a time in one book; what a run that was killed has begun is finished first."""
    (root / ".tangle").mkdir(exist_ok=True)
    with open(root / ".tangle" / "lock", "w") as lock:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)
        finish(root)
        yield


def finish(root: Path) -> bool:
    """Do what the journal says, unless a file in it is neither as it was nor as it shall be."""
    journal = root / ".tangle" / "journal.json"
    work = json.loads(on_disk(journal) or '{"files": {}}')
    whole = all(on_disk(root / name) in pair for name, pair in work["files"].items())
    for name, (_, text) in work["files"].items() if whole else ():
        if text is None:
            remove(root, name)
        elif on_disk(root / name) != text:
            write(root / name, text)
    if whole and "memory" in work:
        write(root / ".tangle" / "last.json", work["memory"])
    journal.unlink(missing_ok=True)
    return whole


def settle(root: Path, book: Book, past: list[Book]) -> None:
    """Make the chapters and src/ what this book says, and remember it."""
    wanted = {f"src/{file}": book.source(file) for file in book.files}
    wanted |= {f"src/{file}": None for file in strays(root, book) if made(file, past)}
    files = {name: (on_disk(root / name), text) for name, text in [*book.texts.items(), *wanted.items()]}
    files = {name: (was, text) for name, (was, text) in files.items()
             if was != text and not (name in wanted and was and text and plain(was) == text)}
    memory = json.dumps(book.texts)
    for name in files:
        path = root / name
        if path.exists() and not path.stat().st_mode & 0o200:
            raise PermissionError(13, "is read-only; make it writable, or remove it", str(path))
    if files or on_disk(root / ".tangle" / "last.json") != memory:
        write(root / ".tangle" / "journal.json", json.dumps({"files": files, "memory": memory}))
        if not finish(root):
            raise Refused("a file was saved meanwhile; nothing was written: run this again", 1)
    for name, (_, text) in files.items():
        print(f"{'removed' if text is None else 'wrote'} {name}")


def strays(root: Path, book: Book) -> list[str]:
    """Python files below src/ that no listing makes; hidden ones are an editor's."""
    found = (path.relative_to(root / "src") for path in sorted((root / "src").rglob("*.py")))
    return [path.as_posix() for path in found if path.as_posix() not in book.files
            and not any(name.startswith(".") for name in path.parts)]


# ------------------------------------------------------------ what was edited by hand

def history(root: Path) -> list[Book]:
    """The books that src/ may have been tangled from: the last one here, and git's at HEAD.

    A file that equals what one of them gives was not edited by hand. What is kept is the
    chapters, in .tangle/, which git ignores: no merge and no change of branch can break it.
    """
    try:
        last = dict(json.loads(on_disk(root / ".tangle" / "last.json") or "{}").items())
    except (ValueError, AttributeError):
        last = {}
    command = ["git", "-C", root, "archive", "--format=zip", "-0", "HEAD", "--", "_toc.yml", "*.md"]
    try:
        data = subprocess.run(command, capture_output=True, check=True).stdout
        archive = zipfile.ZipFile(io.BytesIO(data))
        order = reading_order(archive.read("_toc.yml").decode())
        head = {name: archive.read(name).decode() for name in order}
    except (OSError, ValueError, KeyError, subprocess.CalledProcessError):
        head = {}
    return [assemble(texts) for texts in (last, head) if texts]


def compare(root: Path, book: Book) -> tuple[dict[str, str], list[Book]]:
    """The files in src/ that were edited by hand, and the books that the others come from."""
    found = {file: on_disk(root / "src" / file) for file in [*book.files, *strays(root, book)]}
    other = {file: plain(text) for file, text in found.items()
             if text is not None and plain(text) != book.source(file)}
    past = history(root) if other else []
    return {file: text for file, text in other.items()
            if all(text != known.source(file) for known in past)}, past


def made(file: str, books: list[Book]) -> bool:
    return any(file in book.files for book in books)


def difference(old: list[Line], text: str) -> str:
    """The changes from these lines to a text, each at its chapter line."""
    out, was, now = [], [line.text for line in old], split(plain(text))[:-1]
    for i, j, k, m in changes(was, now):
        near = next((line for line in [*old[i:], *old[i::-1]] if line.row), Line(""))
        out += [f"  {near.chapter}:{near.row}", *(f"  - {x}" for x in was[i:j]),
                *(f"  + {x}" for x in now[k:m])]
    return "\n".join(out)


# ------------------------------------------------------------ the verbs

def tangle(root: Path, discard: bool = False) -> None:
    """Write src/ from the chapters."""
    with alone(root):
        book = sound(root)
        edited, past = compare(root, book)
        ours = [file for file in edited if file in book.files or made(file, past)]
        for file in [] if discard else ours:
            lines = next(known.files[file] for known in [*past, book] if file in known.files)
            print(f"src/{file} was edited by hand:", difference(lines, edited[file]), sep="\n")
        if ours and not discard:
            raise Refused("nothing was written; `tangle.py stitch` carries the edits into the "
                          "book, `tangle.py --discard` drops them", 1)
        settle(root, book, past)


def stitch(root: Path) -> None:
    """Carry edits made by hand in src/ into the chapters, all of them or none, and tangle.

    Where chapters were changed too, both changes stand, or the run stops where they meet. A
    file that is gone from src/ is no edit: it is written again.
    """
    with alone(root):
        now = sound(root)
        edited, past = compare(root, now)
        base = min(past, default=Book({}), key=lambda book: sum(
            len(difference(book.files.get(file, []), text)) for file, text in edited.items()))
        problems: list[Problem] = []
        for file, text in edited.items():
            lines = [Line(x, f"src/{file}", i) for i, x in enumerate(split(text)[:-1], 1)]
            problems += python_problems(lines)
            if file not in base.files:
                problems.append(Problem(f"src/{file}", 1, "no listing made this file; take it away, "
                                f"write ```python file={file} in a chapter, and put it back"))
            elif not text.strip():
                problems.append(Problem(f"src/{file}", 1, "the file is empty; "
                                        "to be rid of it, take out its listings"))
        failing = {problem.path.removeprefix("src/") for problem in problems}
        texts, unplaced = unpick(base, {x: text for x, text in edited.items() if x not in failing})
        problems += unplaced
        merged = dict(now.texts)
        for chapter in texts:
            if texts[chapter] != base.texts[chapter]:
                merged[chapter], clashes = carry(chapter, base.texts[chapter], texts[chapter],
                                                 now.texts.get(chapter, ""))
                problems += clashes
        book = now if problems else assemble(merged)
        problems += [problem._replace(message=f"after the edits in src/: {problem.message}")
                     for problem in book.problems]
        if problems:
            raise Refused([*problems, "nothing was written"], 1)
        for chapter, text in book.texts.items():
            if text != now.texts[chapter]:
                rows = enumerate(split(plain(now.texts[chapter]))[:-1], 1)
                print(difference([Line(row, chapter, i) for i, row in rows], text))
        settle(root, book, past)


def watch(root: Path, pause: float = 0.05) -> None:
    """Carry each save to the other side once it is quiet, until Ctrl-C."""
    seen = carried = None
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            with contextlib.suppress(FileNotFoundError):  # a file went while we looked
                paths = [root / "_toc.yml", *root.glob("book/**/*.md"), *root.glob("src/**/*.py")]
                now = {path: path.stat()[6:9:2] for path in paths if path.is_file()}
                if now == seen and now != carried:
                    carried = now
                    attempt(stitch, root)
                seen = now
            sys.stdout.flush()
            time.sleep(pause)


def check(root: Path) -> None:
    """Compare src/ with what the chapters say."""
    book = sound(root)
    drift = [f"src/{file} is made by no listing" for file in strays(root, book)]
    for file, lines in book.files.items():
        text = on_disk(root / "src" / file)
        if text is None:
            drift.append(f"src/{file} is not there")
        elif plain(text) != book.source(file):
            drift.append(f"src/{file} is not what the chapters say:\n" + difference(lines, text))
    if drift:
        print(*drift, sep="\n")
        raise Refused("run `tangle.py` to write src/ from the chapters", 1)


def origin(root: Path, book: Book, file: str, number: int) -> Line | None:
    """The line of a tangled file that this line below src/ is, edits made by hand allowed for."""
    lines, now = book.files.get(file, []), split(plain(on_disk(root / "src" / file) or ""))[:-1]
    at = number - 1
    for _, j, k, m in changes([line.text for line in lines], now):
        if k < number <= m:
            return None
        if m < number:
            at = number - 1 + j - m
    return lines[at] if 0 <= at < len(lines) and lines[at].row else None


def where(root: Path, place: str) -> None:
    """From a line of src/ to its chapter, or the other way; a column may follow the line."""
    match = re.fullmatch(r"(.+?):(\d+)(?::(\d+))?", place)
    if match is None:
        raise Refused(f"{place}: expected FILE:LINE, such as book/1957-bellman.md:120")
    book, path, number, column = sound(root), match[1], int(match[2]), int(match[3] or 0)
    for full in ((Path.cwd() / path).resolve(), (root / path).resolve()):  # as the caller sees it
        if full.is_relative_to(root.resolve()) and full.exists():
            path = full.relative_to(root.resolve()).as_posix()
            break
    if path in book.texts:
        found = [(f"src/{file}", i, x.indent) for file, lines in book.files.items()
                 for i, x in enumerate(lines, 1) if (x.chapter, x.row) == (path, number)]
        found = found or imported(book, path, number)
    elif path.removeprefix("src/") in book.files:
        line = origin(root, book, path.removeprefix("src/"), number)
        found = [(line.chapter, line.row, -line.indent)] if line else []
    else:
        raise Refused(f"{path} is neither a chapter nor a tangled file")
    for target, row, shift in found:
        print(f"{target}:{row}" + (f":{max(1, column + shift)}" if column else ""))
    if not found:
        raise Refused(f"{path}:{number} has no line on the other side")


def contents(root: Path) -> None:
    """Every file, with the listings it is made of."""
    book = sound(root)
    for file, lines in book.files.items():
        print(f"src/{file} ({len(lines)} lines)")
        for part in book.inside(file):
            print(f"    {part.chapter}:{part.line}  {part.name or ''}".rstrip())


def attempt(verb: Callable[..., None], *arguments) -> int:
    """Run a verb, or say what stops it; the exit status."""
    try:
        verb(*arguments)
        return 0
    except Refused as error:
        print(error, file=sys.stderr, flush=True)
        return error.status
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr, flush=True)
        return 2


def main(arguments: list[str] | None = None) -> int:
    verbs = {"tangle": tangle, "check": check, "stitch": stitch, "watch": watch, "where": where,
             "list": contents}
    parser = argparse.ArgumentParser(prog="tangle.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", nargs="?", default="tangle", metavar="VERB", choices=verbs)
    parser.add_argument("place", nargs="?", metavar="FILE:LINE", help="for where")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent,
                        help="the book's folder")
    parser.add_argument("--discard", action="store_true", help="drop edits made by hand in src/")
    given = parser.parse_args(arguments)
    if (given.verb == "where") != bool(given.place) or given.discard and given.verb != "tangle":
        parser.error("where takes FILE:LINE, tangling takes --discard, and no other verb does")
    more = [x for x in (given.place, given.discard) if x]
    return attempt(verbs[given.verb], given.root, *more)


if __name__ == "__main__":
    sys.exit(main())

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
`row` is a line number in a chapter, counted from 1; `parts` are listings that are joined;
a `border` is where one part ends and the next begins.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
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

    def references(self) -> list[tuple[int, int, str]]:
        """The fragments this listing asks for, each with its row and its indentation."""
        matches = ((row, REFERENCE.match(text)) for row, text in enumerate(self.lines, self.first))
        return [(row, len(match[1]), match[2].strip()) for row, match in matches if match]


@dataclass
class Book:
    """The chapters in reading order, and everything that follows from their texts."""
    texts: dict[str, str]
    listings: list[Listing] = field(default_factory=list)
    fragments: dict[str, list[Listing]] = field(default_factory=dict)
    parts: dict[str, list[Listing]] = field(default_factory=dict)  # of each file
    files: dict[str, list[Line]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def chapters(self) -> list[str]:
        return list(self.texts)

    @cached_property
    def own(self) -> set[str]:
        """The packages that the book makes."""
        return {file.partition("/")[0].removesuffix(".py") for file in self.parts}

    def source(self, file: str) -> str | None:
        """A file's text; None if no listing makes it."""
        lines = self.files.get(file)
        return None if lines is None else "".join(f"{line.text}\n" for line in lines)

    def inside(self, file: str) -> list[Listing]:
        """All listings of a file, fragments after the listing that uses them."""
        found, todo = [], self.parts[file][::-1]
        while todo:
            found.append(part := todo.pop())
            names = [name for _, _, name in part.references()]
            todo += [piece for name in names for piece in self.fragments[name]][::-1]
        return found


# ------------------------------------------------------------ from a chapter to its listings

ROW = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+$")
REFERENCE = re.compile(r"^( *)<<([^<>]+)>> *$")
NESTED = re.compile(r"^(?:[ \t>*+-]|\d+[.)])*(?:`{3,}|~{3,}) *python[ \t]+(?:file|name)=")
COLONS = re.compile(r"^ {0,3}(:{3,})(.*)$")
SHOWN = ("{code", "{sourcecode", "{math", "{raw", "{literal")  # directives that hold no Markdown
MARKDOWN = MarkdownIt("commonmark")
MARKDOWN.core.ruler.enableOnly(["normalize", "block"])


def split(text: str) -> list[str]:
    """A text's lines, whatever their ends, without a byte order mark."""
    return re.split(r"\r\n?|\n", text.removeprefix("\ufeff"))


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


@lru_cache(maxsize=1000)
def read_chapter(chapter: str, text: str) -> tuple[list[Listing], list[Problem]]:
    """The listings of one chapter, and what is wrong with its fences."""
    lines = split(text)
    listings: list[Listing] = []
    problems: list[Problem] = []
    top: set[int] = set()  # where fences begin at top level
    shown: set[int] = set()  # lines that are shown as they stand

    def wrong(i: int, message: str) -> None:
        problems.append(Problem(chapter, i + 1, message))

    for token in MARKDOWN.parse("\n".join(lines)):
        start, stop = token.map or (0, 0)
        comment = token.type == "html_block" and token.content.lstrip().startswith("<!--")
        if comment or token.type == "code_block":
            shown.update(range(start, stop))
        if token.type != "fence":
            continue
        language, info = (*token.info.split(None, 1), "", "")[:2]
        if not language.startswith("{") or language.startswith(SHOWN):
            shown.update(range(start + 1, stop))
        if token.level:
            continue
        top.add(start)
        closing = rf" *{re.escape(token.markup[0])}{{{len(token.markup)},}}[ \t]*"
        if stop - start < 2 or not re.fullmatch(closing, lines[stop - 1]):
            wrong(start, f"this fence is never closed; end it with a line {token.markup}")
        elif language.lower() in ("py", "python", "python3") and info:
            code = lines[start + 1:stop - 1]
            if language != "python":
                wrong(start, f"{language!r} cannot begin a listing; write python")
            if lines[start].startswith(" "):
                wrong(start, "the listing is indented; move its fence to the left margin")
            for i, line in enumerate(code, start + 1):
                if re.match(r" *\t", line):
                    wrong(i, "a tab in the indentation; use spaces")
            try:
                given = read_info(info)
                file, name = given.get("file"), given.get("name")
                listings.append(Listing(chapter, start + 1, file, name, code))
            except ValueError as error:
                wrong(start, str(error))

    colons = 0  # MyST's ::: blocks, which CommonMark does not know
    for i, line in enumerate(lines):
        if i in shown:
            continue
        if match := COLONS.match(line):
            opens = bool(match[2].strip())
            if not colons and opens:
                colons = len(match[1])
            elif not opens and len(match[1]) >= colons:
                colons = 0
        elif NESTED.match(line) and (colons or i not in top):
            wrong(i, "a listing inside another block; move it to the top level of the chapter")
    return listings, problems


# ------------------------------------------------------------ from listings to files

class Head(NamedTuple):
    """How a listing begins: its docstring, its imports, and where each of them ends."""
    doc: int
    stop: int  # behind the last import
    rest: int  # the first line that is neither import nor blank
    imports: list[Line]  # one for each name


def read_head(lines: list[str], docstring: bool, chapter: str = "", first: int = 1) -> Head:
    """The docstring, where there may be one, and the imports that come before anything else."""
    doc, imports = docstring_end(lines) if docstring else 0, []
    i = stop = doc
    while i < len(lines):
        end = i + 1
        if lines[i].startswith("from ") and "(" in lines[i]:  # to the closing parenthesis
            end = next((k + 1 for k in range(i, len(lines)) if ")" in lines[k]), end)
        names = read_import("\n".join(lines[i:end])) if lines[i].strip() else []
        if names is None:
            break
        imports += [Line(name, chapter, first + i) for name in names]
        i, stop = end, end if names else stop
    return Head(doc, stop, i, imports)


def docstring_end(lines: list[str]) -> int:
    """How many lines the docstring takes that opens this text; 0 if none does."""
    quotes = re.match(r'[rR]?("""|\'\'\')', lines[0]) if lines else None
    if quotes is None:
        return 0
    rest = [lines[0][quotes.end():], *lines[1:]]
    return next((i + 1 for i, line in enumerate(rest) if quotes[1] in line), 0)


def read_import(text: str) -> list[str] | None:
    """An import as statements of one name each, or whole with its comment; None if it is none."""
    if not text.startswith(("import ", "from ")):
        return None
    try:
        [node] = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if "#" in text:
        return [text]
    before = ast.unparse(node).partition("import ")[0]
    return [f"{before}import {ast.unparse(name)}" for name in node.names]


def import_lines(imports: list[Line], own: set[str]) -> list[Line]:
    """Imports as a careful person writes them: grouped, sorted, once each."""
    groups: dict[tuple, list[Line]] = {}
    for line in imports:
        kind, module, *name = line.text.split()
        top = module.partition(".")[0]
        standard = 1 if top in sys.stdlib_module_names else 2
        section = 0 if top == "__future__" else 4 if not top else 3 if top in own else standard
        simple = kind == "from" and len(name) == 2 and "#" not in line.text
        whole = "" if simple else line.text
        groups.setdefault((section, kind == "from", module, whole), []).append(line)
    lines: list[Line] = []
    last = None
    for (section, _, module, whole), items in sorted(groups.items()):
        ordered = sorted({line.text.split()[-1] for line in items}, key=lambda name: (
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
           imports: list[Line]) -> Iterator[Line | int]:
    """The lines of these parts, every reference replaced, and the borders between them."""
    def items(parts: list[Listing], indent: int) -> Iterator[Line | int]:
        for i, part in enumerate(parts):
            yield BESIDE if i else AROUND
            head = read_head(part.lines, bool(part.file), part.chapter, part.first)
            imports.extend(head.imports)
            for at in [*range(head.doc), *range(head.rest, len(part.lines))]:
                yield Line(part.lines[at], part.chapter, part.first + at, indent)
        yield AROUND

    stack = [("", items(parts, 0))]
    while stack:
        for item in stack[-1][1]:
            match = None if isinstance(item, int) else REFERENCE.match(item.text)
            name = match[2].strip() if match else ""
            if name in fragments and all(name != above for above, _ in stack):
                stack.append((name, items(fragments[name], item.indent + len(match[1]))))
                break
            if isinstance(item, Line) and item.text.strip():
                item = item._replace(text=" " * item.indent + item.text)
            yield item
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


def write_out(book: Book, file: str) -> list[Line]:
    """A whole file: where it comes from, its docstring, its imports, its code."""
    imports: list[Line] = []
    body = spaced(list(unfold(book.parts[file], book.fragments, imports)))
    end = docstring_end([line.text for line in body])
    sources = dict.fromkeys(part.chapter for part in book.parts[file])
    out = [Line("# Tangled from " + ", ".join(sources)), *body[:end]]
    if imports:
        out += [Line(""), *import_lines(imports, book.own)]
    while end < len(body) and not body[end].text.strip():
        end += 1
    if body[end:]:
        out += [Line("")] * (2 if defines(list(body), end) else 1)
    return out + body[end:]


@lru_cache(maxsize=1000)
def mistake(source: str) -> tuple[int | None, str] | None:
    """The line of the first reason why this is not Python, and the reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "listing", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        return getattr(error, "lineno", None), str(getattr(error, "msg", error))
    return None


def python_problem(lines: list[Line]) -> Problem | None:
    """The first reason why these lines are not Python, at the chapter line it stands on."""
    found = mistake("".join(f"{line.text}\n" for line in lines))
    if found is None:
        return None
    number, reason = found
    near = next(x for x in [*lines[(number or len(lines)) - 1::-1], *lines] if x.row)
    reason = re.sub(r"(?<=\bon )line (\d+)", lambda match: "{0.chapter}:{0.row}".format(
        lines[int(match[1]) - 1]), reason)
    return Problem(near.chapter, near.row, f"not valid Python: {reason}; mend this listing")


def assemble(texts: dict[str, str], only: str | None = None) -> Book:
    """Everything that follows from the chapters' texts alone; of the files, `only` one or all."""
    book = Book(texts)
    for chapter, text in texts.items():
        listings, problems = read_chapter(chapter, text)
        book.listings += listings
        book.problems += problems
    fragments, uses = book.fragments, {}

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
            book.parts.setdefault(part.file, []).append(part)
            if part.name:
                uses.setdefault(part.name, []).append((part, part.line))
        for row, _, name in part.references():
            uses.setdefault(name, []).append((part, row))

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
    for name, [part, *_] in fragments.items():
        if name not in uses:
            wrong(part, part.line, f"fragment <<{name}>> is never used; "
                  f"write <<{name}>> where it belongs, or remove it")
    user = {name: part.name if row > part.line else None
            for name, [(part, row), *_] in uses.items() if name in fragments}
    for chain in cycles(user):
        part, row = uses[chain[0]][0]
        wrong(part, row, f"<<{chain[0]}>> uses itself: {' -> '.join(chain)}; take one link out")
    name_clashes(book.parts, wrong)

    for path, parts in book.parts.items():
        parts[:] = [piece for part in parts for piece in fragments.get(part.name or "", [part])]
        if only in (None, path):
            book.files[path] = lines = write_out(book, path)
            broken = any(REFERENCE.match(line.text) for line in lines)
            if not only and not broken and (problem := python_problem(lines)):
                book.problems.append(problem)
    place = {chapter: i for i, chapter in enumerate(texts)}
    book.problems = sorted(set(book.problems), key=lambda x: (place[x.path], x.row, x.message))
    return book


def cycles(user: dict[str, str | None]) -> Iterator[list[str]]:
    """Each chain of fragments that comes back to its beginning, once, in the order of use."""
    done: set[str | None] = {None}
    for start in user:
        walk: list[str | None] = [start]
        while walk[-1] not in done:
            done.add(walk[-1])
            walk.append(user.get(walk[-1]))
        if walk[-1] in walk[:-1]:
            yield walk[walk.index(walk[-1]):][::-1]


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


# ------------------------------------------------------------ from an edited file to its chapters

class Edit(NamedTuple):
    """Rows `start` up to `stop`, that one excluded, of a chapter become these lines."""
    chapter: str
    start: int
    stop: int
    lines: list[str]


def apply(texts: dict[str, str], edits: list[Edit]) -> dict[str, str]:
    """The chapters with these edits made; every other byte stays."""
    new = dict(texts)
    for chapter in {edit.chapter for edit in edits}:
        rows = ROW.findall(texts[chapter])
        mine = sorted((e for e in edits if e.chapter == chapter), key=lambda e: (e.start, e.stop))
        for _, start, stop, lines in reversed(mine):
            end = "\r\n" if rows[start - 2].endswith("\r\n") else rows[start - 2][-1]
            rows[start - 1:stop - 1] = [line + end for line in lines]
        new[chapter] = "".join(rows)
    return new


def same(old: list[str], new: list[str]) -> int:
    """How many lines two texts have in common at their beginning."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(old), len(new)))


def changes(old: list[str], new: list[str]) -> list[list[int]]:
    """Where two texts differ: each [i, j, k, m] says that old[i:j] has become new[k:m]."""
    head = same(old, new)
    tail = same(old[head:][::-1], new[head:][::-1])
    a, b = old[head:len(old) - tail], new[head:len(new) - tail]
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=len(a) + len(b) > 5000)
    return [[head + i, head + j, head + k, head + m]
            for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal"]


class Unplaced(Exception):
    """A change in src/ that no place in the chapters gives: its line in the file, and why."""


class Seams:
    """Where the lines of one tangled file come from, and where new ones may go.

    A change goes to the listing that its lines come from. New lines between two listings go to
    the end of the earlier one, unless only the later one gives the file back. A change that
    lies across listings is taken line by line, if there are as many lines as before.
    """
    def __init__(self, base: Book, file: str):
        self.base, self.file, self.parts = base, file, base.inside(file)
        self.home = {(part.chapter, row): part for part in self.parts
                     for row, _ in enumerate(part.lines, part.first)}
        self.user = {name: (part, row, columns) for part in self.parts
                     for row, columns, name in part.references()}

    def unpick(self, now: list[str]) -> list[Edit]:
        """The edits of the chapters that make this file what it is now, or Unplaced."""
        for number, text in enumerate(now, 1):
            if REFERENCE.match(text):
                raise Unplaced(number, "a chapter would take this line for a reference; "
                               "write it another way")
        was = self.base.files[self.file]
        texts = [line.text for line in was]
        edits = self.move_imports(texts, now)
        old, found = [was[i] for i in skeleton(texts)], skeleton(now)
        texts, new = [line.text for line in old], [now[i] for i in found]
        regions = changes(texts, new)
        ways = [list(self.places(old, new, *region)) for region in regions]
        if all(ways) and self.written(best := sum((way[0] for way in ways), edits)) == now:
            return best
        for (i, j, k, m), choices in zip(regions, ways, strict=True):
            for choice in choices:  # this change beside the earlier ones, the later ones not yet
                result = self.written(edits + choice)
                if [result[n] for n in skeleton(result)] == new[:m] + texts[j:]:
                    edits = edits + choice
                    break
            else:
                raise Unplaced(found[min(k, len(found) - 1)] + 1, self.why(old, i, j))
        if (result := self.written(edits)) != now:
            i, j, k, m = changes(result, now)[0]
            raise Unplaced(k + 1, f"tangling would write {result[i:j]} here, not {now[k:m]}; "
                           "imports stand sorted and once, with blank lines as they are by rule")
        return edits

    def written(self, edits: list[Edit]) -> list[str]:
        """The file as the chapters give it after these edits."""
        book = assemble(apply(self.base.texts, edits), self.file)
        return [line.text for line in book.files.get(self.file, [])]

    def places(self, old: list[Line], new: list[str], i: int, j: int, k: int, m: int,
               ) -> Iterator[list[Edit]]:
        """Ways to make old[i:j] of the file new[k:m], the best first."""
        was, text = old[i:j], new[k:m]
        if edits := line_by_line(was, text):
            yield edits
        up, down = slack([line.text for line in old], i, j, text)
        if not text:  # of lines that repeat, take away those of one listing
            was = min((old[i + n:j + n] for n in (0, -up, down)), key=lambda x: len(self.at(x)))
        owned = [line for line in was if line.row]
        gone = [Edit(x.chapter, x.row, x.row + 1, []) for x in owned]
        if not "".join(text).strip():
            yield gone
        if not text or len(self.at(owned)) > 1:
            return
        above = owned[-1] if owned else old[max(i - up, 1) - 1]
        below = owned[0] if owned else [*old, Line("")][j + down]
        spots = [(*spot, new[k - up:m - up]) for spot in self.climb(above, 1)]
        spots += [(*spot, new[k + down:m + down]) for spot in self.climb(below, 0)]
        first, last = self.parts[0], self.base.parts[self.file][-1]
        spots += [(first.chapter, first.first, 0, text),
                  (last.chapter, last.first + len(last.lines), 0, text)]
        for chapter, row, indent, lines in spots:
            for some in (stripped(lines), lines) if owned else (lines, stripped(lines)):
                if (fitting := outdented(some, indent)) is not None:
                    yield [*gone, Edit(chapter, row, row, fitting)]

    def at(self, lines: list[Line]) -> set[int]:
        """The listings that these lines come from."""
        return {id(self.home[x.chapter, x.row]) for x in lines if x.row}

    def climb(self, line: Line, after: int) -> Iterator[tuple[str, int, int]]:
        """The place at a line, then those at the references that lead to it, with indents."""
        _, chapter, row, indent = line
        part = self.home.get((chapter, row))
        while part:
            yield chapter, row + after, indent
            part, row, columns = self.user.get(part.name or "", (None, 0, 0))
            indent -= columns

    def why(self, old: list[Line], i: int, j: int) -> str:
        near = [x for x in old[i:j] if x.row] or [x for x in old[max(i - 1, 0):j + 2] if x.row]
        places = dict.fromkeys(f"{x.chapter}:{x.row}" for x in [*near[:1], *near[-1:]])
        return (f"no one place near {' and '.join(places)} gives this back (the first line and the "
                "blank lines between listings are the tangler's); make the change there")

    def move_imports(self, was: list[str], now: list[str]) -> list[Edit]:
        """The edits that add and take away the imports of the file, at the heads of listings."""
        before, after = ([x.text for x in read_head(lines[1:], True).imports]
                         for lines in (was, now))
        heads = [read_head(x.lines, bool(x.file), x.chapter, x.first) for x in self.parts]
        wanted = [[x for x in head.imports if x.text in after] for head in heads]
        for text in dict.fromkeys(text for text in after if text not in before):
            modules = [{x.text.split()[1] for x in head.imports} for head in heads]
            known = [i for i, names in enumerate(modules) if text.split()[1] in names]
            some = [i for i, names in enumerate(modules) if names]
            wanted[[*known, *some, 0][0]].append(Line(text))
        edits = []
        for part, head, imports in zip(self.parts, heads, wanted, strict=True):
            if imports != head.imports:
                lines = [line.text for line in import_lines(imports, self.base.own)]
                stop = head.stop if lines or head.doc else head.rest
                if lines:
                    lines = [""] * bool(head.doc) + lines + [""] * (head.rest == head.doc)
                edits.append(Edit(part.chapter, part.first + head.doc, part.first + stop, lines))
        return edits


def skeleton(texts: list[str]) -> list[int]:
    """The lines of a tangled file without its imports and the blank lines around them."""
    head = read_head(texts[1:], True)
    return [*range(min(1 + head.doc, len(texts))), *range(1 + head.rest, len(texts))]


def outdented(lines: list[str], indent: int) -> list[str] | None:
    """Lines with so many columns taken away in front; None where there are fewer."""
    if all(line.startswith(" " * indent) for line in lines if line.strip()):
        return [line[indent:] if line.strip() else line for line in lines]
    return None


def line_by_line(was: list[Line], text: list[str]) -> list[Edit] | None:
    """The edits if each of these lines became one other; None if that is not so."""
    new = [outdented([now], line.indent) for line, now in zip(was, text, strict=False)]
    if len(was) != len(text) or not all(
            lines if line.row else lines == [""] for line, lines in zip(was, new, strict=True)):
        return None
    return [Edit(line.chapter, line.row, line.row + 1, lines)
            for line, lines in zip(was, new, strict=True) if line.row]


def slack(old: list[str], i: int, j: int, text: list[str]) -> tuple[int, int]:
    """How much higher, and lower, lines that are only new or only gone may as well lie."""
    def reach(lines: list[str], moved: list[str]) -> int:
        return next((n for n, x in enumerate(lines) if x != moved[n % len(moved)]), len(lines))

    moved = old[i:j] or text
    if not moved or (text and i < j):
        return 0, 0
    return reach(old[:i][::-1], moved[::-1]), reach(old[j:], moved)


def stripped(lines: list[str]) -> list[str]:
    """Lines without blank ones at the ends."""
    full = [i for i, line in enumerate(lines) if line.strip()]
    return lines[full[0]:full[-1] + 1] if full else []


def merged(edits: list[Edit], base: str, now: str) -> tuple[list[Edit], list[Problem]]:
    """The edits of one chapter, at the rows where it has them now; and where both sides differ."""
    if split(apply({"": base}, [e._replace(chapter="") for e in edits])[""]) == split(now):
        return [], []
    joined: list[Edit] = []
    for edit in sorted(edits, key=lambda edit: edit[1:3]):
        if joined and joined[-1].stop == edit.start:
            last = joined.pop()
            edit = Edit(edit.chapter, last.start, edit.stop, last.lines + edit.lines)
        joined.append(edit)
    moved, clashes, lines = [], [], split(now)
    hunks = changes(split(base), lines)
    for chapter, start, stop, text in joined:
        a, b, shift = start - 1, stop - 1, 0
        for i, j, k, m in hunks:
            if (i < b and a < j) or (i, j) == (a, b):
                if (i, j, lines[k:m]) != (a, b, text):
                    both = "".join(f"\n    chapter: {x}" for x in lines[k:m])
                    both += "".join(f"\n    src:     {x}" for x in text)
                    clashes.append(Problem(chapter, k + 1, "changed here and in src/; make "
                                           f"the two agree, then stitch again{both}"))
                break
            if j <= a:
                shift += m - k - (j - i)
        else:
            moved.append(Edit(chapter, start + shift, stop + shift, text))
    return moved, clashes


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
    toc = on_disk(root / "_toc.yml")
    if toc is None:
        message = f"not found in {root}; say where the book is with --root"
        return Book({}, problems=[Problem("_toc.yml", 1, message)])
    for chapter, line in reading_order(toc).items():
        text = on_disk(root / chapter)
        if text is None:
            message = f"{chapter} is not there; write it, or take this line out"
            problems.append(Problem("_toc.yml", line, message))
        elif bad := re.search("[\udc80-\udcff]", text):
            row = len(split(text[:bad.start()]))
            message = "bytes that are not UTF-8; save the file as UTF-8"
            problems.append(Problem(chapter, row, message))
        texts[chapter] = text or ""
    for path in sorted((root / "book").rglob("*.md")):
        chapter = path.relative_to(root).as_posix()
        if chapter not in texts:
            for part in read_chapter(chapter, on_disk(path) or "")[0][:1]:
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


def commit(root: Path, changes: dict[str, tuple[str | None, str | None]],
           texts: dict[str, str]) -> bool:
    """Write files, each (as it was, as it shall be), and remember what src/ is tangled from."""
    for name in changes:
        path = root / name
        if path.exists() and not path.stat().st_mode & 0o200:
            raise PermissionError(13, "is read-only; make it writable, or remove it", str(path))
    write(root / ".tangle" / "journal.json", json.dumps({"changes": changes, "texts": texts}))
    return finish(root)


def finish(root: Path) -> bool:
    """Do what the journal says, unless a file in it is neither as it was nor as it shall be."""
    journal = root / ".tangle" / "journal.json"
    if not journal.exists():
        return True
    work = json.loads(journal.read_text())
    whole = all(on_disk(root / name) in pair for name, pair in work["changes"].items())
    if whole:
        for name, (_, text) in work["changes"].items():
            if text is None:
                remove(root, name)
            elif on_disk(root / name) != text:
                write(root / name, text)
        write(root / ".tangle" / "last.json", json.dumps(work["texts"]))
    journal.unlink()
    return whole


class Memory:
    """The books that src/ may have been tangled from: the last one here, and git's at HEAD.

    A file that equals what one of them gives was not edited by hand. What is kept is the
    chapters, in .tangle/, which git ignores: no merge and no change of branch can break it.
    """
    def __init__(self, root: Path):
        self.root = root

    @cached_property
    def last(self) -> dict[str, str]:
        """The chapters that src/ was last tangled from, here."""
        try:
            kept = json.loads(on_disk(self.root / ".tangle" / "last.json") or "{}")
        except ValueError:
            return {}
        return kept if isinstance(kept, dict) else {}

    @cached_property
    def books(self) -> list[Book]:
        return [assemble(texts) for texts in (self.last, self.committed()) if texts]

    def committed(self) -> dict[str, str]:
        """The chapters as git has them at HEAD; none where there is no git."""
        command = ["git", "-C", self.root, "archive", "HEAD", "--", "_toc.yml", "*.md"]
        try:
            data = subprocess.run(command, capture_output=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return {}
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            found = {item.name: tar.extractfile(item).read().decode("utf-8", "replace")
                     for item in tar if item.isfile()}
        order = reading_order(found.get("_toc.yml", ""))
        return {name: found[name] for name in order if name in found}

    def makes(self, file: str) -> list[Book]:
        """The books in which some listing makes this file."""
        return [book for book in self.books if file in book.files]

    def edited(self, book: Book) -> dict[str, str]:
        """The Python files in src/ that were not tangled as they are, with their texts."""
        found = {}
        for file in [*book.files, *strays(self.root, book)]:
            text = on_disk(self.root / "src" / file)
            if text is None or plain(text) == book.source(file):
                continue
            if all(plain(text) != known.source(file) for known in self.books):
                found[file] = plain(text)
        return found

    def nearest(self, edited: dict[str, str]) -> Book | None:
        """The book that these files are the smallest change of."""
        def distance(book: Book) -> int:
            pairs = ((split(book.source(file) or ""), split(text)) for file, text in edited.items())
            return sum(j - i + m - k for pair in pairs for i, j, k, m in changes(*pair))
        return min(self.books, key=distance, default=None)


# ------------------------------------------------------------ the verbs

def tangle(root: Path, discard: bool = False) -> int:
    """Write src/ from the chapters."""
    with alone(root):
        book, memory = load(root), Memory(root)
        if book.problems:
            return report(book.problems)
        edited = {} if discard else {
            file: text for file, text in memory.edited(book).items()
            if file in book.files or memory.makes(file)}
        for file in edited:
            lines = (memory.makes(file) or [book])[0].files[file]
            print(f"src/{file} was edited by hand:", difference(lines, edited[file]), sep="\n")
        if edited:
            return complain("nothing was written; `tangle.py stitch` carries the edits into the "
                            "book, `tangle.py --discard` drops them", 1)
        return settle(root, memory, book)


def settle(root: Path, memory: Memory, book: Book) -> int:
    """Make the chapters and src/ what this book says, and remember it."""
    work = {name: (on_disk(root / name), text) for name, text in book.texts.items()}
    work = {name: pair for name, pair in work.items() if pair[0] != pair[1]}
    ours = [file for file in strays(root, book) if memory.makes(file)]
    for file in [*book.files, *ours]:
        was, text = on_disk(root / "src" / file), book.source(file)
        if was is None or plain(was) != text:
            work[f"src/{file}"] = was, text
    if work or list(memory.last.items()) != list(book.texts.items()):
        if not commit(root, work, book.texts):
            return complain("a file was saved meanwhile; nothing was written: run this again", 1)
    for name, (_, text) in work.items():
        print(f"{'removed' if text is None else 'wrote'} {name}")
    return 0


def strays(root: Path, book: Book) -> list[str]:
    """Python files below src/ that no listing makes; hidden ones are an editor's."""
    found = (path.relative_to(root / "src") for path in sorted((root / "src").rglob("*.py")))
    return [path.as_posix() for path in found if path.as_posix() not in book.files
            and not any(name.startswith(".") for name in path.parts)]


def stitch(root: Path) -> int:
    """Carry edits made by hand in src/ into the chapters, all of them or none, and tangle.

    Where chapters were changed too, both changes stand, or the run stops where they meet. A
    file that is gone from src/ is no edit: it is written again.
    """
    with alone(root):
        now, memory = load(root), Memory(root)
        if now.problems:
            return report(now.problems)
        edited = memory.edited(now)
        base = memory.nearest(edited) or Book({})
        problems: list[Problem] = []
        edits: list[Edit] = []
        for file, text in edited.items():
            try:
                if file not in base.files:
                    raise Unplaced(1, "no listing made this file; take it away, "
                                   f"write ```python file={file} in a chapter, and put it back")
                if not text.strip():
                    raise Unplaced(1, "the file is empty; to be rid of it, take out its listings")
                if found := mistake(text):
                    raise Unplaced(found[0] or 1, f"not valid Python: {found[1]}; mend it first")
                edits += Seams(base, file).unpick(split(text)[:-1])
            except Unplaced as error:
                problems.append(Problem(f"src/{file}", *error.args))
        moved: list[Edit] = []
        for chapter in dict.fromkeys(edit.chapter for edit in edits):
            mine = [edit for edit in edits if edit.chapter == chapter]
            moves, clashes = merged(mine, base.texts[chapter], now.texts.get(chapter, ""))
            moved += moves
            problems += clashes
        book = now if problems else assemble(apply(now.texts, moved))
        problems += [problem._replace(message=f"after the edits in src/: {problem.message}")
                     for problem in book.problems]
        if not problems and now.texts == base.texts:
            message = "tangling would not give this back; make the change in the chapter"
            problems = [Problem(f"src/{file}", 1, message) for file in base.files
                        if book.source(file) != edited.get(file, base.source(file))]
        if problems:
            report(problems)
            return complain("nothing was written", 1)
        for chapter, text in book.texts.items():
            if text != now.texts[chapter]:
                rows = enumerate(split(plain(now.texts[chapter]))[:-1], 1)
                print(difference([Line(row, chapter, i) for i, row in rows], text))
        return settle(root, memory, book)


def watch(root: Path, pause: float = 0.05) -> int:
    """Carry each save to the other side once it is quiet, until Ctrl-C."""
    def stamps() -> dict[str, tuple[int, int]]:
        paths = [root / "_toc.yml", *(root / "book").rglob("*.md"), *(root / "src").rglob("*.py")]
        return {str(path): (stat.st_mtime_ns, stat.st_size)
                for path in paths if path.is_file() and (stat := path.stat())}

    seen = carried = None
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            try:
                now = stamps()
                if now == seen and now != carried:
                    carried = now
                    stitch(root)
                seen = now
            except OSError as error:  # a file went while we looked; a full disk
                complain(f"{error.filename or root}: {error.strerror or error}")
            sys.stdout.flush()
            time.sleep(pause)
    return 0


def check(root: Path) -> int:
    """Compare src/ with what the chapters say."""
    book = load(root)
    if book.problems:
        return report(book.problems)
    drift = [f"src/{file} is made by no listing" for file in strays(root, book)]
    for file, lines in book.files.items():
        text = on_disk(root / "src" / file)
        if text is None:
            drift.append(f"src/{file} is not there")
        elif plain(text) != book.source(file):
            drift.append(f"src/{file} is not what the chapters say:\n" + difference(lines, text))
    print(*drift, sep="\n", end="\n" * bool(drift))
    return complain("run `tangle.py` to write src/ from the chapters", 1) if drift else 0


def difference(old: list[Line], text: str) -> str:
    """The changes from these lines to a text, each at its chapter line."""
    out, was, now = [], [line.text for line in old], split(plain(text))[:-1]
    for i, j, k, m in changes(was, now):
        near = next((line for line in [*old[i:], *old[i::-1]] if line.row), Line(""))
        out += [f"  {near.chapter}:{near.row}", *(f"  - {x}" for x in was[i:j]),
                *(f"  + {x}" for x in now[k:m])]
    return "\n".join(out)


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
    if path in book.texts:
        found = [(f"src/{file}", i, x.indent) for file, lines in book.files.items()
                 for i, x in enumerate(lines, 1) if (x.chapter, x.row) == (path, number)]
        found = found or imported(book, path, number)
    elif path.removeprefix("src/") in book.files:
        line = origin(root, book, path.removeprefix("src/"), number)
        found = [(line.chapter, line.row, -line.indent)] if line else []
    else:
        return complain(f"{path} is neither a chapter nor a tangled file")
    for target, row, shift in found:
        print(f"{target}:{row}" + (f":{max(1, column + shift)}" if column else ""))
    return 0 if found else complain(f"{path}:{number} has no line on the other side")


def imported(book: Book, chapter: str, row: int) -> list[tuple[str, int, int]]:
    """The lines of src/ that give the imports at this row, which other listings have too."""
    found = []
    for file, lines in book.files.items():
        heads = [read_head(part.lines, bool(part.file), part.chapter, part.first)
                 for part in book.inside(file)]
        names = {x.text for head in heads for x in head.imports
                 if (x.chapter, x.row) == (chapter, row)}
        found += [(f"src/{file}", i, 0) for i, x in enumerate(lines, 1)
                  if names & set(read_import(x.text) or ())]
    return found


def contents(root: Path) -> int:
    """Every file, with the listings it is made of."""
    book = load(root)
    if book.problems:
        return report(book.problems)
    for file, lines in book.files.items():
        print(f"src/{file} ({len(lines)} lines)")
        for part in book.inside(file):
            print(f"    {part.chapter}:{part.line}  {part.name or ''}".rstrip())
    return 0


def report(problems: list[Problem]) -> int:
    return complain("\n".join(map(str, problems)))


def complain(message: str, status: int = 2) -> int:
    print(message, file=sys.stderr, flush=True)
    return status


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tangle.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = {"tangle": tangle, "check": check, "stitch": stitch, "watch": watch, "list": contents}
    parser.add_argument("verb", nargs="?", default="tangle", metavar="VERB",
                        choices=[*verbs, "where"])
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
        if given.place:
            return where(given.root, given.place)
        return tangle(given.root, True) if given.discard else verbs[given.verb](given.root)
    except OSError as error:
        return complain(f"{error.filename or given.root}: {error.strerror or error}")


if __name__ == "__main__":
    sys.exit(main())

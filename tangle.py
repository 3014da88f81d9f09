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
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import gc
import io
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
from functools import cached_property, lru_cache, partial
from itertools import chain, dropwhile, groupby, pairwise, takewhile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from markdown_it import MarkdownIt

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
    """A run that stops: what it says, and its exit status."""
    def __init__(self, *messages: object, status: int = 2):
        super().__init__("\n".join(map(str, messages)))
        self.status = status


class Line(NamedTuple):
    """A line of a tangled file and the chapter line it comes from (row 0: it has none)."""
    text: str
    chapter: str = ""
    row: int = 0
    indent: int = 0  # columns that references have added
    part: Listing | None = None


class Seam(Line):
    """Before this row a listing begins (the text is <), ends (>), or goes on below a fragment."""


@dataclass(frozen=True, eq=False)
class Listing:
    """A fence that is code of the package, and the lines where its docstring and imports end."""
    chapter: str
    line: int  # the row of the fence
    first: int  # the row of the first line of code
    file: str | None
    name: str | None
    lines: list[str]
    doc: int
    stop: int  # behind the last import
    rest: int  # the first line that is neither import nor blank
    imports: list[Line]  # one for each name


@dataclass
class Book:
    """The chapters in reading order, and everything that follows from their texts."""
    texts: dict[str, str]
    listings: list[Listing] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    fragments: dict[str, list[Listing]] = field(default_factory=dict)
    uses: dict[tuple[str, int], str] = field(default_factory=dict)  # fragments, by chapter and row
    parts: dict[str, list[Listing]] = field(default_factory=dict)  # of each file
    inside: dict[str, list[Listing]] = field(default_factory=dict)  # with the fragments in them
    own: set[str] = field(default_factory=set)  # the packages that the files are in
    files: dict[str, list[Line]] = field(default_factory=dict)
    seams: dict[str, list[tuple[int, Seam]]] = field(default_factory=dict)  # before which lines

    @cached_property
    def plain(self) -> dict[str, list[str]]:
        """The lines of each file."""
        return {file: [line.text for line in lines] for file, lines in self.files.items()}

    def source(self, file: str) -> str:
        return "".join(f"{line.text}\n" for line in self.files[file])


# ------------------------------------------------------------ from a chapter to its listings

ROW = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+$")
MEMORY = ".tangle/memory.json"
REFERENCE = re.compile(r"^( *)<<([^<>]+)>> *$")
ATTRIBUTE = re.compile(r"""(?<!\S)(?:file=((?:[\w-][\w.-]*/)*[\w-][\w.-]*\.py)|"""
                       r"""name=(?:"([^"<>]+)"|'([^'<>]+)'|([^\s"'<>]+)))(?!\S)""")
LISTING = re.compile(
    r"(?:[ \t>*+-]|\d+[.)])*(?:`{3,}|~{3,}) *(?:py|python|python3)\s+(?:file|name)=", re.I)
PLACED = re.compile(r"(?:`{3,}|~{3,}) *python\s")
COLONS = re.compile(r" {0,3}:{3,}(.*)")
DIRECTIVE = re.compile(r"\{(?!code|sourcecode|math|raw|literal)")  # one that holds Markdown
MARKDOWN = MarkdownIt("commonmark")
MARKDOWN.core.ruler.enableOnly(["normalize", "block"])


def split(text: str) -> list[str]:
    """A text's lines, whatever their ends, without a byte order mark."""
    return [row.rstrip("\r\n") for row in ROW.findall(text.removeprefix("\ufeff"))]


def read_info(info: str) -> dict[str, str]:
    """The attributes after ```python: file=, name= or both; {} for an ordinary block."""
    found = ATTRIBUTE.findall(info)
    given = {"file" if file else "name": file or "".join(name).strip() for file, *name in found}
    rest = ATTRIBUTE.sub("", info).strip()
    if rest or len(given) < len(found) or not all(given.values()):
        raise ValueError(f"cannot read {rest or info!r}; write file= and a path below src/ that "
                         'ends in .py, or name="..." without < and >, or both')
    return given


@lru_cache(maxsize=400)
def read_chapter(chapter: str, text: str) -> tuple[list[Listing], list[Problem]]:
    """The listings of one chapter, and what is wrong with its fences."""
    lines, listings, wrong = split(text), [], []
    top: set[int] = set()  # where fences begin at top level
    shown: set[int] = set()  # lines that are shown as they stand
    for token in MARKDOWN.parse("\n".join(lines)):
        start, stop = token.map or (0, 0)
        fence, language, info = token.type == "fence", *(*token.info.split(None, 1), "", "")[:2]
        comment = token.type == "html_block" and token.content.lstrip().startswith("<!--")
        if comment or token.type == "code_block" or (fence and not DIRECTIVE.match(language)):
            shown.update(range(start + fence, stop))
        if not fence or token.level:
            continue
        top.add(start)
        if stop - start < 2 or not re.fullmatch(rf" *{token.markup}+[ \t]*", lines[stop - 1]):
            wrong.append((start, f"this fence is never closed; end it with a line {token.markup}"))
        elif language.lower() in ("py", "python", "python3") and info:
            code = lines[start + 1:stop - 1]
            wrong += [(i, "a tab in the indentation; use spaces")
                      for i, line in enumerate(code, start + 1) if re.match(r" *\t", line)]
            try:
                given = read_info(info)
                file, name = given.get("file"), given.get("name")
                head = read_head(code, bool(file), chapter, start + 2)
                listings.append(Listing(chapter, start + 1, start + 2, file, name, code, *head))
            except ValueError as error:
                wrong.append((start, str(error)))
    depth = 0  # of MyST's ::: blocks, which CommonMark does not know
    for i, line in enumerate(lines):
        if i not in shown and (match := COLONS.match(line)):
            depth = max(0, depth + (1 if match[1].strip() else -1))
        elif i not in shown and LISTING.match(line):
            if depth or i not in top or not PLACED.match(line):
                wrong.append((i, "a listing begins with ```python at the left margin, "
                              "inside no other block; write it so"))
    return listings, [Problem(chapter, i + 1, message) for i, message in wrong]


# ------------------------------------------------------------ from listings to files

STRING = re.compile(r'[rR]?("""|\'\'\')(?s:.*?)\1.*\n')
IMPORTS = re.compile(r"(?:[ \t]*\n|import [^;\\\n]*\n|from [^;\\(\n]*(?:\([^)]*\))?[^;\\\n]*\n)*")
DEFINITION = re.compile(r" *(?:(?:async +)?def|class)\b| *@")
CONTINUES = re.compile(r" *(?:[)\]}]|(?:else|elif|except|finally)\b)")


def read_head(lines: list[str], docstring: bool, chapter: str = "", first: int = 1) -> tuple:
    """Where the docstring ends, the imports, and blank lines after them; the imported names."""
    text = "".join(f"{line}\n" for line in lines)
    match = STRING.match(text) if docstring else None
    block = IMPORTS.match(text, match.end() if match else 0)[0]
    doc, imports, stop = match[0].count("\n") if match else 0, [], 0
    try:
        for node in ast.parse(block).body:
            written, stop = block.split("\n")[node.lineno - 1:node.end_lineno], node.end_lineno
            before = ast.unparse(node).partition("import ")[0]
            names = [f"{before}import {ast.unparse(name)}" for name in node.names]
            if any("#" in line for line in written):
                names = ["\n".join(written)]
            imports += [Line(name, chapter, first + doc + node.lineno - 1) for name in names]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return doc, doc, doc, []
    return doc, doc + stop, doc + block.count("\n"), imports


def import_lines(imports: list[Line], book: Book) -> list[Line]:
    """Imports as a careful person writes them: grouped, sorted, once each."""
    def place(line: Line) -> tuple:
        kind, module, *names = line.text.split()
        top = module.partition(".")[0]
        standard = 1 if top in sys.stdlib_module_names else 2
        section = 0 if top == "__future__" else 4 if not top else 3 if top in book.own else standard
        joins = kind == "from" and len(names) == 2 and "#" not in line.text
        return section, kind == "from", module, "" if joins else line.text

    lines: list[Line] = []
    last = None
    for (section, _, module, text), group in groupby(sorted(imports, key=place), place):
        same = list(group)
        names = sorted({line.text.split()[-1] for line in same}, key=lambda name: (
            0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2, name))
        text = text or f"from {module} import {', '.join(names)}"
        if len(text) > 100 and "#" not in text:
            text = "\n    ".join([f"from {module} import (", *(f"{x}," for x in names)]) + "\n)"
        lines += [Line("")] * (last not in (None, section))
        lines += [same[0]._replace(text=line) for line in text.split("\n")]
        last = section
    return lines


def indentation(text: str) -> int:
    return len(text) - len(text.lstrip())


def unfold(book: Book, part: Listing, indent: int) -> Iterator[Line]:
    """The lines of a listing, without its imports and with its references replaced."""
    yield Seam("<", part.chapter, part.first + part.rest, indent, part)
    for row, text in enumerate(part.lines, part.first):
        if name := book.uses.get((part.chapter, row)):
            for piece in book.fragments[name]:
                yield from unfold(book, piece, indent + indentation(text))
            yield Seam("|", part.chapter, row + 1, indent, part)
        elif not part.doc <= row - part.first < part.rest:
            text = " " * indent + text if text.strip() else text
            yield Line(text, part.chapter, row, indent, part)
    yield Seam(">", part.chapter, part.first + len(part.lines), indent, part)


def write_out(book: Book, file: str) -> None:
    """Join a file's listings, with blank lines at the seams as a careful person puts them."""
    seam, *body = [item for part in book.parts[file] for item in unfold(book, part, 0)]
    book.inside[file] = list(dict.fromkeys(x.part for x in [seam, *body] if isinstance(x, Seam)))
    imports = import_lines([x for part in book.inside[file] for x in part.imports], book)
    chapters = ", ".join(dict.fromkeys(part.chapter for part in book.parts[file]))
    seam, doc = seam._replace(text="><"), seam.part.doc
    items = [Line(f"# Tangled from {chapters}"), *body[:doc], seam, *imports, seam, *body[doc:]]
    out, seams, gap, border = [], [], [], ""
    for n, item in enumerate(items):
        if isinstance(item, Seam):
            border += item.text
            seams.append((len(out), item))
        elif not item.text.strip():
            gap.append(item)
        else:
            if border:
                code = (x.text for x in map(items.__getitem__, range(n, len(items)))
                        if not isinstance(x, Seam) and not x.text.lstrip().startswith("#"))
                defines = bool(DEFINITION.match(next(code, "")))  # with the comments above it
                wanted = blank_lines(out, item.text, defines, "><" in border)
                gap += [Line("")] * (wanted - len(gap))
            out += [*gap, item]
            gap, border = [], ""
    book.files[file], book.seams[file] = out, seams


def blank_lines(before: list[Line], text: str, defines: bool, beside: bool) -> int:
    """How many belong between parts: two around a top-level definition, one around a nested one."""
    depth = indentation(text)
    if CONTINUES.match(text) or before[-1].text.lstrip().startswith("@"):
        return 0
    above = next((x.text for x in reversed(before) if x.text.strip()
                  and indentation(x.text) <= depth and not CONTINUES.match(x.text)), "")
    if indentation(above) == depth and (defines or DEFINITION.match(above)):
        return 1 if depth else 2
    return int(beside and not depth)


@lru_cache(maxsize=400)
def not_python(lines: tuple[Line, ...]) -> list[Problem]:
    """The first reason why these lines are not Python, if they are not, where it stands."""
    if any(REFERENCE.match(line.text) for line in lines):
        return []  # it is not whole, which is another problem
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile("".join(f"{x.text}\n" for x in lines), "listing", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        row = getattr(error, "lineno", None) or len(lines)
        near = next(line for line in [*lines[row - 1::-1], *lines] if line.row)
        reason = str(getattr(error, "msg", error)).partition(" on line ")[0]
        return [Problem(near.chapter, near.row, f"not valid Python: {reason}; mend it here")]
    return []


def assemble(texts: dict[str, str]) -> Book:
    """Everything that follows from the chapters' texts alone."""
    book = Book(texts)
    for chapter, text in texts.items():
        listings, problems = read_chapter(chapter, text)
        book.listings += listings
        book.problems += problems
    places: dict[str, list[tuple[Listing, int]]] = {}  # where each fragment is used
    for part in book.listings:
        if part.name:
            book.fragments.setdefault(part.name, []).append(part)
        if part.file:
            book.parts.setdefault(part.file, []).append(part)
        if part.file and part.name:
            places.setdefault(part.name, []).insert(0, (part, part.line))
        for row, text in enumerate(part.lines, part.first):
            if match := REFERENCE.match(text):
                places.setdefault(match[2].strip(), []).append((part, row))
    book.uses = {(part.chapter, row): name for name, [(part, row), *_] in places.items()
                 if name in book.fragments and row > part.line}
    book.problems += mistakes(book, places)
    book.own = {re.split(r"[/.]", file)[0] for file in book.parts}
    for path, parts in book.parts.items():
        parts[:] = [x for part in parts for x in book.fragments.get(part.name or "", [part])]
        try:
            write_out(book, path)
        except RecursionError:
            wrong = "fragments are nested too deep below this listing; write some of them out"
            book.problems.append(Problem(parts[0].chapter, parts[0].line, wrong))
    return book


def mistakes(book: Book, places: dict[str, list[tuple[Listing, int]]]) -> Iterator[Problem]:
    """What is wrong with the names of fragments and files."""
    for name, parts in book.fragments.items():
        part, other = parts[0], next((x for x in parts if x.chapter != parts[0].chapter), None)
        if other:
            yield Problem(other.chapter, other.line, f"fragment <<{name}>> is already defined in "
                          f"{part.chapter}:{part.line}; give one of the two another name")
        if name not in places:
            yield Problem(part.chapter, part.line, f"fragment <<{name}>> is never used; "
                          f"write <<{name}>> where it belongs, or remove it")
    user = {name: part.name for name, [(part, row), *_] in places.items() if row > part.line}
    in_cycle: set[str] = set()
    for name, [(first, at), *again] in places.items():
        if all(part.chapter != first.chapter for part in book.fragments.get(name, [])):
            near = difflib.get_close_matches(name, [x for x in book.fragments if x != name], 1)
            cure = f"did you mean <<{near[0]}>>?" if near else f'add a listing with name="{name}"'
            yield Problem(first.chapter, at, f"<<{name}>> is not defined in this chapter; {cure}")
        for part, row in again:
            yield Problem(part.chapter, row, f"<<{name}>> is used a second time, first at "
                          f"{first.chapter}:{at}; make it a function, or write it out here")
        users = [name]
        while (above := user.get(users[-1])) and above not in users:
            users.append(above)
        if above == name and name not in in_cycle:
            in_cycle.update(users)
            way = " -> ".join([name, *users[::-1]])
            yield Problem(first.chapter, at, f"<<{name}>> uses itself: {way}; take one link out")
    spelled: dict[str, str] = {}
    for path, [part, *_] in book.parts.items():
        for place in [path, *(f"{folder}/" for folder in PurePosixPath(path).parents)][:-1]:
            known = spelled.setdefault(place.casefold().rstrip("/"), place)
            if known != place:
                yield Problem(part.chapter, part.line, f"src/{place} and src/{known} "
                              "cannot both be there on every system; rename one")


# ------------------------------------------------------------ from an edited file to its chapters

Edit = tuple[str, int, int, list[str]]  # of a chapter, rows i to j, j excluded, become these lines


def apply(texts: dict[str, str], edits: list[Edit]) -> dict[str, str]:
    """The chapters with these edits made; every other byte stays."""
    rows = {chapter: ROW.findall(texts[chapter]) for chapter, *_ in edits}
    for chapter, start, stop, lines in sorted(edits, key=lambda edit: edit[:3])[::-1]:
        above = rows[chapter][start - 2]  # of this listing, or its fence
        end = above[len(above.rstrip("\r\n")):]
        rows[chapter][start - 1:stop - 1] = [line + end for line in lines]
    return texts | {chapter: "".join(lines) for chapter, lines in rows.items()}


def same(old: list, new: list) -> int:
    """How many items two lists have in common at their beginning."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(old), len(new)))


def changes(old: list[str], new: list[str]) -> list[list[int]]:
    """Where two texts differ: each [i, j, k, m] says that old[i:j] has become new[k:m].

    A line is taken together with the blank ones above it, as far as these differ too.
    """
    def strides(lines: list[str]) -> tuple[list[int], list[tuple[str, ...]]]:
        ends = [0, *(i for i, line in enumerate(lines, 1) if line.strip() or i == len(lines))]
        return ends, [tuple(lines[i:j]) for i, j in pairwise(ends)]

    (at, a), (to, b) = strides(old), strides(new)
    head = same(a, b)
    tail = same(a[head:][::-1], b[head:][::-1])
    matcher = difflib.SequenceMatcher(None, a[head:len(a) - tail], b[head:len(b) - tail],
                                      autojunk=len(a) + len(b) > 5000)
    regions = [(at[i + head], at[j + head], to[k + head], to[m + head])
               for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal"]
    blanks = [same(old[i:j], new[k:m]) for i, j, k, m in regions]
    return [[i + n, j, k + n, m] for (i, j, k, m), n in zip(regions, blanks, strict=True)]


def ways(book: Book, file: str, i: int, j: int, new: list[str]) -> Iterator[list[Edit]]:
    """Edits that could make the lines i to j of a file new, the best first.

    Lines go to the listing that they come from, and lines between two listings to the end of the
    earlier one, or if that does not give the file back, to a place from there to the later.
    """
    lines, texts = book.files[file], book.plain[file]
    if len(new) == j - i:
        yield [(x.chapter, x.row, x.row + 1, [text[x.indent:]])
               for x, text in zip(lines[i:j], new, strict=True) if x.row]
    shifts = [i] if new else [  # of lines that repeat, take away those of as few listings as can be
        i, i - same(texts[:i][::-1], texts[:j][::-1]), i + same(texts[i:], texts[j:])]
    owned = min(([x for x in lines[n:n + j - i] if x.row] for n in shifts),
                key=lambda owned: len({x.part for x in owned}))
    gone = [(x.chapter, x.row, x.row + 1, []) for x in owned]
    if not new:
        yield gone
    elif len({x.part for x in owned}) < 2:
        start = next((n for n in range(i, 0, -1) if texts[n - 1].strip()), 0)
        above = [x for x in owned or lines[:start] if x.row][-1:]
        seams = [seam for n, seam in book.seams[file] if start <= n <= j]
        spots = [(x.chapter, x.row + (x in above), x.indent) for x in above + seams]
        below = [*dropwhile(lambda x: not x.strip(), new),
                 *takewhile(lambda x: not x.strip(), texts[j:])]
        for chapter, row, indent in dict.fromkeys(spots):
            for some in new, below:  # with the blank lines above, or with those below
                if all(x.startswith(" " * indent) or not x.strip() for x in some):
                    some = [x[indent:] if x.strip() else x for x in some]
                    yield [*gone, (chapter, row, row, some)]
    if new and (tail := same(texts[i:j][::-1], new[::-1])):
        yield from ways(book, file, i, j - tail, new[:-tail])


def move_imports(book: Book, file: str, now: list[str]) -> Iterator[Edit]:
    """The edits that add and take away the imports of a file, at the heads of its listings."""
    parts = book.inside[file]
    wanted = [line.text for line in read_head(now[1:], True)[-1]]
    names = [[line.text for line in part.imports if line.text in wanted] for part in parts]
    modules = [{line.text.split()[1] for line in part.imports} for part in parts]
    known = {line.text for part in parts for line in part.imports}
    for name in dict.fromkeys(wanted):
        if name not in known:
            names[max(range(len(parts)), key=lambda n: (
                name.split()[1] in modules[n], bool(modules[n])))].append(name)
    for part, mine in zip(parts, names, strict=True):
        if mine != [line.text for line in part.imports]:
            lines = [line.text for line in import_lines([Line(name) for name in mine], book)]
            if lines:
                lines = [""] * bool(part.doc) + lines + [""] * (part.rest == part.doc)
            stop = part.stop if lines or part.doc else part.rest
            yield part.chapter, part.first + part.doc, part.first + stop, lines


def unpick(book: Book, now: dict[str, list[str]]) -> tuple[Book, list[Problem]]:
    """The book that makes these files what they are now, and what has no place in it.

    Whether an edit is right is judged by tangling: every file must come back, edited or not.
    """
    moves = [edit for file in now for edit in move_imports(book, file, now[file])]
    book = assemble(apply(book.texts, moves)) if moves else book
    found = [(file, *region) for file in now for region in changes(book.plain[file], now[file])]
    best = [next(ways(book, file, i, j, now[file][k:m]), []) for file, i, j, k, m in found]
    whole = assemble(apply(book.texts, list(chain(*best))))
    if whole.plain == book.plain | now:
        return whole, []
    problems = []
    for file, lines in now.items():  # one change after the other, in the first way that is right
        while found := changes(book.plain[file], lines):
            i, j, k, m = found[0]
            goal = book.plain | {file: lines[:m] + book.plain[file][j:]}
            trials = (assemble(apply(book.texts, x)) for x in ways(book, file, i, j, lines[k:m]))
            if (right := next((trial for trial in trials if trial.plain == goal), None)) is None:
                rows = ([x for x in book.files[file][i:j] if x.row] or
                        [x for x in book.files[file][max(i - 1, 0):j + 1] if x.row])
                near = dict.fromkeys(f"{x.chapter}:{x.row}" for x in rows[:1] + rows[-1:])
                problems.append(Problem(
                    f"src/{file}", k + 1, f"no one place near {' and '.join(near)} gives this back "
                    "(the first line, the order of imports and blank lines between listings are "
                    "the tangler's); make the change there"))
                break
            book = right
    return book, problems


def merge(base: list[str], ours: list[str], theirs: list[str]) -> tuple[list[str], list[list]]:
    """Their lines with our changes; and where both changed the same, as [i, j, k, m] of each."""
    def hunks_of(new: list[str]) -> list[list[int]]:
        """The changes, line by line where as many lines came as went."""
        found = [[[i, j, k, m]] if j - i != m - k else [
            [i + n, i + n + 1, k + n, k + n + 1] for n in range(j - i) if base[i + n] != new[k + n]]
            for i, j, k, m in changes(base, new)]
        return list(chain(*found))

    merged, met, hunks = theirs[:], [], hunks_of(theirs)
    for i, j, k, m in reversed(hunks_of(ours)):
        found = [x for x in hunks if (x[0] < j and i < x[1]) or x[:2] == [i, j]]
        at = i + sum(d - c - (b - a) for a, b, c, d in hunks if b <= i)
        if not found:
            merged[at:at + j - i] = ours[k:m]
        elif (found[0][:2], theirs[found[0][2]:found[0][3]]) != ([i, j], ours[k:m]):
            met.append([found[0][2], found[-1][3], k, m])
    return merged, met[::-1]


# ------------------------------------------------------------ the book on disk

CHAPTER = re.compile(r"""^\s*(?:-\s+)?(?:root|file):\s*["']?([^"'#]+?)["']?\s*(?:#.*)?$""")


def reading_order(toc: str) -> dict[str, int]:
    """The chapters that _toc.yml names, with their lines in it."""
    found = [(m[1], i) for i, line in enumerate(split(toc), 1) if (m := CHAPTER.match(line))]
    return {name if name.endswith(".md") else f"{name}.md": i for name, i in found}


def load(root: Path, python: bool = True) -> Book:
    """The book in this folder, read and checked, its Python too if asked."""
    order = reading_order(on_disk(root / "_toc.yml") or "")
    found, src = {x: on_disk(root / x) for x in order}, (root / "src").resolve()
    book = assemble({chapter: text or "" for chapter, text in found.items()})

    def wrong(path: str, row: int, message: str) -> None:
        book.problems.append(Problem(path, row, message))

    if not order:
        wrong("_toc.yml", 1, f"names no chapters in {root}; say where the book is with --root")
    for chapter, text in found.items():
        if text is None:
            wrong("_toc.yml", order[chapter], f"{chapter} is not there; write it, or take this out")
        elif bad := re.search("[\udc80-\udcff]", text):
            row = len(split(text[:bad.end()]))
            wrong(chapter, row, "bytes that are not UTF-8; save the file as UTF-8")
    for path in sorted(root.glob("book/**/*.md")):
        chapter = path.relative_to(root).as_posix()
        for part in read_chapter(chapter, on_disk(path) or "")[0] * (chapter not in order):
            wrong(chapter, part.line, "a listing in a chapter that _toc.yml does not name; add it")
    for part in book.listings:
        if part.file and not (src / part.file).resolve().is_relative_to(src):
            wrong(part.chapter, part.line, f"file={part.file} leaves src/ through a symbolic link; "
                  "remove the link")
    if python:
        book.problems += chain(*(not_python(tuple(x)) for x in book.files.values()))
    place = {"_toc.yml": -1} | {chapter: i for i, chapter in enumerate(order)}
    book.problems = sorted({*book.problems}, key=lambda problem: (
        place.get(problem.path, len(place)), problem.row, problem.message))
    return book


def sound(root: Path, python: bool = True) -> Book:
    """The book in this folder, if nothing is wrong with it."""
    if (book := load(root, python)).problems:
        raise Refused(*book.problems)
    return book


def on_disk(path: Path) -> str | None:
    """A file's text, byte for byte; None if there is no such file."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.stat().st_mode & 0o200:
        raise PermissionError(13, "is read-only; make it writable, or remove it", str(path))
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


def history(root: Path, book: Book) -> list[dict[str, list[str]]]:
    """What src/ may have been tangled as: here, the last time, and from the book at git's HEAD.

    What was tangled here is kept in .tangle/, which git ignores: no merge can break it.
    """
    try:
        known = [dict(src) for src in json.loads(on_disk(root / MEMORY) or "[]")]
    except (ValueError, TypeError):
        known = []
    command = ["git", "-C", root, "archive", "--format=zip", "-0", "HEAD", "--", "_toc.yml", "*.md"]
    try:
        data = subprocess.run(command, capture_output=True, check=True).stdout
        archive = zipfile.ZipFile(io.BytesIO(data))
        order = reading_order(archive.read("_toc.yml").decode())
        texts = {name: archive.read(name).decode() for name in order}
        known.append((book if texts == book.texts else assemble(texts)).plain)
    except (OSError, ValueError, KeyError, subprocess.CalledProcessError):
        pass  # there is no git here, or no book in it
    return known


def drift(root: Path, book: Book) -> dict[str, list[str] | None]:
    """The files of src/ that are not what the book says; a dot in front makes one an editor's."""
    paths = [path.relative_to(root / "src").as_posix() for path in root.glob("src/**/*.py")]
    names = {*book.files, *(path for path in paths if "/." not in f"/{path}")}
    texts = {file: on_disk(root / "src" / file) for file in sorted(names)}
    lines = {file: None if text is None else split(text) for file, text in texts.items()}
    return {file: lines[file] for file in lines if lines[file] != book.plain.get(file)}


def settle(root: Path, book: Book, known: list[dict[str, list[str]]]) -> None:
    """Write the chapters, then the files of src/ that were tangled, and remember that.

    If it is killed among the chapters, src/ is still as it was edited, to be stitched again; if
    it is killed later, each file is known as it was and as it shall be, and is tangled again.
    """
    for chapter, text in book.texts.items():
        if (was := on_disk(root / chapter)) != text:
            rows = [Line(row, chapter, i) for i, row in enumerate(split(was), 1)]
            print(difference(rows, split(text)))
            write(root / chapter, text)
            print(f"wrote {chapter}")
    ours = [x for x in drift(root, book) if any(x in files for files in [book.files, *known])]
    if ours:
        write(root / MEMORY, json.dumps([book.plain, *known]))
    for file in ours:
        path = root / "src" / file
        if file in book.files:
            write(path, book.source(file))
            print(f"wrote src/{file}")
            continue
        path.unlink()
        while (path := path.parent) != root / "src" and (
                all(item.name == "__pycache__" for item in path.iterdir())):
            shutil.rmtree(path)
        print(f"removed src/{file}")
    if on_disk(root / MEMORY) != (memory := json.dumps([book.plain])):
        write(root / MEMORY, memory)


def difference(old: list[Line], now: list[str]) -> str:
    """The changes from these lines to others, each at its chapter line."""
    out, was = [], [line.text for line in old]
    for i, j, k, m in changes(was, now):
        near = next((line for line in [*old[i:], *old[i::-1]] if line.row), Line(""))
        out += [f"  {near.chapter}:{near.row}", *(f"  - {x}" for x in was[i:j]),
                *(f"  + {x}" for x in now[k:m])]
    return "\n".join(out)


# ------------------------------------------------------------ the verbs

def tangle(root: Path, edits: str = "kept") -> None:
    """Write src/ from the chapters. Edits made by hand stop this, or are "stitched" or "dropped".

    A file that is gone from src/ is no edit: it is written again.
    """
    (root / ".tangle").mkdir(exist_ok=True)
    with open(root / ".tangle" / "lock", "w") as lock:  # one run at a time
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)
        was = book = sound(root, python=edits != "stitched")
        found = drift(root, was)
        known = history(root, book) if found else []
        edited = {file: lines for file, lines in found.items()
                  if lines is not None and all(src.get(file) != lines for src in known)}
        ours = {x: edited[x] for x in edited if any(x in src for src in [was.files, *known])}
        if edits == "stitched":
            book = stitched(was, edited, known, list(found)) if edited else sound(root)
        elif ours and edits == "kept":
            show(ours, was)
            raise Refused("nothing was written; `tangle.py stitch` carries the edits into the "
                          "book, `tangle.py --discard` drops them", status=1)
        if drift(root, was) != found or any(
                on_disk(root / chapter) != text for chapter, text in was.texts.items()):
            raise Refused("a file was saved meanwhile; nothing was written: run it again", status=1)
        settle(root, book, known)


def stitched(book: Book, edited: dict[str, list[str]], known: list[dict], new: list[str]) -> Book:
    """The book with the edits made by hand in src/, all of them, or it is refused.

    Where chapters were changed too, both changes stand, or are shown where they meet. The files
    that are not new are in src/ as they are in the book: their Python has been looked at.
    """
    goal, problems = {}, []
    for file, ours in edited.items():
        path, bases = f"src/{file}", [src[file] for src in known if file in src]
        if not bases or file not in book.files:
            problems.append(Problem(path, 1, "no listing makes this file; take it away, "
                                    f"write ```python file={file} in a chapter, and put it back"))
            continue
        problems += not_python(tuple(Line(x, path, i) for i, x in enumerate(ours, 1)))
        base = min(bases, key=lambda base: sum(j - i + m - k for i, j, k, m in changes(base, ours)))
        lines, theirs = book.files[file], book.plain[file]
        goal[file], met = merge(base, ours, theirs)
        for i, j, k, m in met:
            near = next(line for line in lines[i:] + lines[i::-1] if line.row)
            problems.append(Problem(near.chapter, near.row, "\n    ".join([
                "changed here and in src/; make the two agree, then stitch again",
                *(f"chapter: {x}" for x in theirs[i:j]), *(f"src:     {x}" for x in ours[k:m])])))
    if not problems:
        book, problems = unpick(book, goal)
    if not problems:
        files = [tuple(book.files[file]) for file in new if file in book.files]
        found = [*book.problems, *chain(*map(not_python, files))]
        problems = [x._replace(message=f"after the edits in src/: {x.message}") for x in found]
    if problems:
        raise Refused(*problems, "nothing was written", status=1)
    return book


def watch(root: Path, pause: float = 0.05) -> None:
    """Carry each save to the other side once it is quiet, until Ctrl-C."""
    seen = carried = None
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            with contextlib.suppress(FileNotFoundError):  # a file went while we looked
                paths = [root / "_toc.yml", *root.glob("book/**/*.md"), *root.glob("src/**/*.py")]
                stats = {path: path.stat() for path in paths if path.is_file()}
                now = {path: (stat.st_mtime_ns, stat.st_size) for path, stat in stats.items()}
                if now == seen and now != carried:
                    carried = now
                    attempt(tangle, root, "stitched")
                seen = now
            sys.stdout.flush()
            time.sleep(pause)


def show(found: dict[str, list[str] | None], book: Book) -> None:
    """Print how files of src/ differ from what the book says."""
    for file, lines in found.items():
        if file not in book.files:
            print(f"src/{file} is made by no listing")
        elif lines is None:
            print(f"src/{file} is not there")
        else:
            print(f"src/{file} is not what the chapters say:")
            print(difference(book.files[file], lines))


def check(root: Path) -> None:
    """Compare src/ with what the chapters say."""
    book = sound(root)
    if found := drift(root, book):
        show(found, book)
        raise Refused("run `tangle.py` to write src/ from the chapters", status=1)


def origin(root: Path, book: Book, file: str, number: int) -> Line | None:
    """The line of a tangled file that this line below src/ is, edits made by hand allowed for."""
    lines, now = book.files.get(file, []), split(on_disk(root / "src" / file) or "")
    regions = changes(book.plain.get(file, []), now)
    at = number - 1 + sum(j - i - (m - k) for i, j, k, m in regions if m < number)
    new = any(k < number <= m for _, _, k, m in regions)
    return lines[at] if not new and 0 <= at < len(lines) and lines[at].row else None


def where(root: Path, place: str) -> None:
    """From a line of src/ to its chapter, or the other way; a column may follow the line."""
    match = re.fullmatch(r"(.+?):(\d+)(?::(\d+))?", place)
    if match is None:
        raise Refused(f"{place}: expected FILE:LINE, such as book/1957-bellman.md:120")
    book, number, column = sound(root), int(match[2]), int(match[3] or 0)
    lines = {f"src/{file}": lines for file, lines in book.files.items()}
    paths = os.path.relpath(match[1], root), match[1], f"src/{match[1]}"  # as the caller sees it
    path = next((x for x in paths if x in book.texts or x in lines), None)
    if path is None:
        raise Refused(f"{match[1]} is neither a chapter nor a tangled file")
    if path in lines:
        line = origin(root, book, path.removeprefix("src/"), number)
        found = [(line.chapter, line.row, -line.indent)] if line else []
    else:
        imported = {x.text for part in book.listings for x in part.imports
                    if (x.chapter, x.row) == (path, number)}
        found = [(file, i, x.indent) for file in lines for i, x in enumerate(lines[file], 1)
                 if (x.chapter, x.row) == (path, number)
                 or imported & {y.text for y in read_head([x.text], False)[-1]}]
    for target, row, shift in found:
        print(f"{target}:{row}" + (f":{max(1, column + shift)}" if column else ""))
    if not found:
        raise Refused(f"{path}:{number} has no line on the other side")


def contents(root: Path) -> None:
    """Every file, with the listings it is made of."""
    book = sound(root)
    for file, lines in book.files.items():
        print(f"src/{file} ({len(lines)} lines)")
        for part in book.inside[file]:
            print(f"    {part.chapter}:{part.line}  {part.name or ''}".rstrip())


def attempt(verb: Callable[..., None], *arguments) -> int:
    """Run a verb, or say what stops it; the exit status."""
    try:
        verb(*arguments)
    except (Refused, OSError) as error:
        at_file = getattr(error, "filename", None)  # of one that the disk gave
        told = f"{at_file}: {error.strerror}" if at_file else error
        print(told, file=sys.stderr, flush=True)
        return getattr(error, "status", 2)
    return 0


def main(arguments: list[str] | None = None) -> int:
    verbs = {"tangle": tangle, "check": check, "stitch": partial(tangle, edits="stitched"),
             "watch": watch, "where": where, "list": contents}
    parser = argparse.ArgumentParser(prog="tangle.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", nargs="?", default="tangle", metavar="VERB", choices=verbs)
    parser.add_argument("place", nargs="?", metavar="FILE:LINE", help="for where")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent,
                        help="the book's folder")
    parser.add_argument("--discard", action="store_true", help="drop edits made by hand in src/")
    given = parser.parse_args(arguments)
    if (given.verb == "where") != bool(given.place) or (given.discard and given.verb != "tangle"):
        parser.error("where takes FILE:LINE, tangling takes --discard, and no other verb does")
    more = [given.place] if given.place else ["dropped"] if given.discard else []
    return attempt(verbs[given.verb], given.root, *more)


if __name__ == "__main__":
    gc.set_threshold(100_000)  # next to nothing here is garbage: look for it seldom
    sys.exit(main())

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
import json
import os
import re
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import groupby, takewhile
from pathlib import Path, PurePosixPath
from typing import NamedTuple


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
    seam: str = ""  # before this row the part begins <, ends >, or goes on | below a fragment
    all: tuple[tuple[str, int], ...] = ()  # of an import, the chapter lines that ask for it


@dataclass(frozen=True, eq=False)
class Listing:
    """A fence that is code of the package: its row, its lines, and where its head ends."""
    chapter: str
    line: int
    file: str | None
    name: str | None
    lines: list[str]
    doc: int  # how many lines its docstring has
    rest: int  # how many come before the first that is no import
    imports: list[Line]  # one for each name
    items: list[Line] = field(default_factory=list)  # what a file gets from it, and the seams


@dataclass
class Book:
    """The chapters in reading order, and everything that follows from their texts."""
    texts: dict[str, str]
    listings: list[Listing] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    own: frozenset[str] = frozenset()  # the packages that the files are in
    files: dict[str, list[Line]] = field(default_factory=dict)
    plain: dict[str, list[str]] = field(default_factory=dict)  # the texts of the files' lines
    seams: dict[str, list[tuple[int, Line]]] = field(default_factory=dict)  # before which lines

    def source(self, file: str) -> str:
        return "".join(f"{line}\n" for line in self.plain[file])

    def inside(self, file: str) -> list[Listing]:
        """The listings of a file, with the fragments in them."""
        return list(dict.fromkeys(seam.part for _, seam in self.seams[file]))


# ------------------------------------------------------------ from a chapter to its listings

ROW = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+$")
REFERENCE = re.compile(r"^( *)<<([^<>]+)>> *$")
ATTRIBUTE = re.compile(r"""(?<!\S)(?:file=((?:[\w-][\w.-]*/)*[\w-][\w.-]*\.py)|"""
                       r"""name=(?:"([^"<>]+)"|'([^'<>]+)'|([^\s"'<>]+)))(?!\S)""")
DIRECTIVE = re.compile(r"\{(?!code|sourcecode|math|raw|literal)")  # one that holds Markdown
FENCE = r"(?:[ \t>*+-]|\d+[.)])*(?:`{3,}+(?!.*`)|~{3,}+)"  # in a list or a quotation, perhaps
LISTING = re.compile(FENCE + r" *(?:py|python|python3)\s+(?:file|name)=", re.I)
HTML = r"[ \t>*+\d.)-]*<"
LONG_HTML = re.compile(HTML + r"(?:[!?]|(?:script|pre|style|textarea)\b)", re.I)
BLOCK = re.compile(rf"""^(?:  # a fence, to its end, or if it has none, to that of the chapter
    (?P<inset>\ *)(?P<mark>(?P<char>[`~])(?>(?P=char){{2,}}))(?!(?<=`).*`)(?P<info>.*)\n
        (?P<code>(?:(?!\ *(?P=mark)(?P=char)*[ \t]*$)(?:(?P=inset).*|[ \t]*)\n)*+)
        (?:(?P<end>(?P=inset)(?P=mark)(?P=char)*[ \t]*)$|(?s:.*))
  | \ {{0,3}}(?P<colons>:{{3,}})(?P<words>.*)  # MyST's
  | (?=<!--)(?s:.*?)(?:-->.*|\Z)  # a comment
  | (?P<html>{HTML}[a-z/!?].*(?:\n.*[^ \t\n].*)*+)  # to an empty line
  | (?P<behind>\ *(?:[\t>]|[*+-][ \t]|\d+[.)][ \t])){FENCE}.*  # a fence behind something
  )$""", re.I | re.M | re.X)


def split(text: str) -> list[str]:
    """A text's lines, whatever their ends, without a byte order mark."""
    return [row.rstrip("\r\n") for row in ROW.findall(text.removeprefix("\ufeff"))]


def read_info(info: str) -> tuple[str | None, str | None]:
    """What is given after ```python: the file and the name; neither for an ordinary block."""
    found, rest = ATTRIBUTE.findall(info), ATTRIBUTE.sub("", info).strip()
    files = [file for file, *_ in found if file]
    names = ["".join(name).strip() for file, *name in found if not file]
    if rest or len(files) > 1 or len(names) > 1 or "" in names:
        raise ValueError(f"cannot read {rest or info!r}; write file= and a path below src/ that "
                         'ends in .py, or name="..." without < and >, or both')
    return next(iter(files), None), next(iter(names), None)


def indentation(text: str) -> int:
    return len(text) - len(text.lstrip())


def find_listings(chapter: str, text: str) -> tuple[list[Listing], list[tuple[int, str]]]:
    """The listings of a chapter, and what is wrong with its fences, by row.

    No more of Markdown is read than this needs: where it would take more to tell what a fence
    is, in a list or in HTML, a plainer form is asked for. So what is found is what Markdown finds.
    """
    whole = "".join(f"{line}\n" for line in split(text))
    wrong = [(whole.count("\n", 0, at.start()) + 1, "bytes that are not UTF-8; save the file as "
              "UTF-8") for at in re.finditer("[\udc80-\udcff]", whole)][:1]
    move = "a listing begins with ```python at the left margin, inside no other block; write it so"
    listings, row, at, depth = [], 1, 0, 0  # the depth of MyST's ::: blocks
    for block in BLOCK.finditer(whole):
        row, at = row + whole.count("\n", at, block.start()), block.start()
        inset = block["inset"]
        code = (block["code"] or "").split("\n")[:-1]
        language, info = (*(block["info"] or "").split(None, 1), "", "")[:2]
        if block["colons"]:
            depth = max(0, depth + (1 if block["words"].strip() else -1))
        elif block["html"]:
            for i, line in enumerate(block["html"].split("\n"), row):
                if re.match(FENCE, line):
                    wrong.append((i, "this is inside HTML; write an empty line above it"))
                elif LONG_HTML.match(line):
                    wrong.append((i, "HTML that an empty line may not end; write it in ```{raw} "
                                  "html, or a comment at the left margin, below an empty line"))
        elif LISTING.match(block[0]) and (depth or inset or language != "python"):
            wrong.append((row, move))
        elif block["behind"] and ">" not in block["behind"]:
            wrong.append((row, "a fence begins a line of its own; write it so"))
        elif block["mark"] and not block["end"]:
            wrong.append((row, "this fence is never closed; end it with a line "
                          f"{inset}{block['mark']}; one that holds another must be longer"))
        elif language == "python" and info and not inset:
            wrong += [(i, "a tab in the indentation; use spaces")
                      for i, line in enumerate(code, row + 1) if re.match(r" *\t", line)]
            try:
                file, name = read_info(info)
                listings.append(Listing(chapter, row, file, name, code, *read_head(
                    block["code"], bool(file), chapter, row)))
            except ValueError as error:
                wrong.append((row, str(error)))
        if DIRECTIVE.match(language):
            wrong += [(i, move) for i, line in enumerate(code, row + 1) if LISTING.match(line)]
    return listings, wrong


# ------------------------------------------------------------ from listings to files

STRING = re.compile(r'[rR]?("""|\'\'\')(?s:.*?)\1.*\n')
IMPORTS = re.compile(r"(?:[ \t]*\n|import [^;\\\n#]*\n|"
                     r"from [^;\\(\n#]*+(?:\([^)#]*+\))?[ \t]*\n)*+")
NOT_PYTHON = "not valid Python"
DEFINITION = re.compile(r" *(?:(?:async +)?def|class)\b| *@")
CONTINUES = re.compile(r" *(?:[)\]}]|(?:else|elif|except|finally)\b)")


def read_head(code: str, docstring: bool, chapter: str = "", row: int = 0) -> tuple:
    """How many lines its docstring has, how many come before its body, and its imports, by name."""
    match = STRING.match(code) if docstring else None
    doc = match[0].count("\n") if match else 0
    block = IMPORTS.match(code, match.end() if match else 0)[0]
    try:
        imports = [Line(f"{before}import {ast.unparse(name)}", chapter, row + doc + node.lineno)
                   for node in ast.parse(block).body
                   for before in [ast.unparse(node).partition("import ")[0]] for name in node.names]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return doc, doc, []
    return doc, doc + block.count("\n"), imports


def unfold(part: Listing, stands: dict[int, list[Listing]], indent: int = 0) -> Iterator[Line]:
    """The lines of a listing, without its imports, and what stands for its references."""
    yield Line("", part.chapter, part.line + 1 + part.rest, indent, part, "<")
    for row, text in enumerate(part.lines, part.line + 1):
        if row in stands:
            for piece in stands[row]:
                yield from unfold(piece, stands, indent + indentation(text))
            yield Line("", part.chapter, row + 1, indent, part, "|")
        elif not part.doc <= row - part.line - 1 < part.rest:
            text = " " * indent + text if text.strip() else text
            yield Line(text, part.chapter, row, indent, part)
    yield Line("", part.chapter, part.line + 1 + len(part.lines), indent, part, ">")


@lru_cache(maxsize=400)
def read_chapter(chapter: str, text: str) -> tuple[list[Listing], list[Problem]]:
    """The listings of a chapter, unfolded, and what is wrong with them.

    A fragment stands in the chapter that defines it, so what others say does not matter here.
    """
    listings, wrong = find_listings(chapter, text)
    fragments: dict[str, list[Listing]] = {}
    uses: dict[str, list[tuple[int, str | None]]] = {}  # the rows, and the fragments around them
    for part in listings:
        if part.name:
            fragments.setdefault(part.name, []).append(part)
        if part.name and part.file:
            uses.setdefault(part.name, []).insert(0, (part.line, None))
        for row, line in enumerate(part.lines, part.line + 1):
            if match := REFERENCE.match(line):
                uses.setdefault(match[2].strip(), []).append((row, part.name))
    for name, [(row, user), *again] in uses.items():
        if name not in fragments:
            near = difflib.get_close_matches(name, fragments, 1)
            cure = f"did you mean <<{near[0]}>>?" if near else f'add a listing with name="{name}"'
            wrong.append((row, f"<<{name}>> is not defined in this chapter; {cure}"))
        wrong += [(other, f"<<{name}>> is used a second time, first at {chapter}:{row}; "
                   "make it a function, or write it out here") for other, _ in again]
        users = {name: 0}  # in order
        while user and user not in users:
            users[user] = 0
            user = uses[user][0][1] if user in uses else None
        if user == name == next(x for x in uses if x in users):  # once for each cycle
            way = " -> ".join([name, *[*users][::-1]])
            wrong.append((row, f"<<{name}>> uses itself: {way}; take one link out"))
    wrong += [(part.line, f"fragment <<{name}>> is never used; write <<{name}>> where it belongs, "
               "or remove it") for name in fragments.keys() - uses for part in fragments[name]]
    stands = {row: fragments[name] for name, [(row, _), *_] in uses.items() if name in fragments}
    for part in listings:
        try:
            for piece in fragments.get(part.name or "", [part]) if part.file else []:
                part.items.extend(unfold(piece, stands))
        except RecursionError:
            wrong.append((part.line, "fragments are nested too deep below this listing; "
                          "write some of them out"))
    return listings, [Problem(chapter, row, message) for row, message in wrong]


def import_lines(imports: list[Line], own: frozenset[str]) -> list[Line]:
    """Imports as a careful person writes them: grouped, sorted, once each."""
    def place(line: Line) -> tuple:
        kind, module, *names = line.text.split()
        top = module.partition(".")[0]
        section = (top != "__future__", not top, top in own,
                   top in own or top not in sys.stdlib_module_names)
        joins = len(names) == 2 and names[0] == "import"
        return section, kind == "from", module, "" if joins else line.text

    lines: list[Line] = []
    for _, section in groupby(sorted(imports, key=place), lambda line: place(line)[0]):
        lines += [Line("")] * bool(lines)
        for (_, _, module, text), group in groupby(section, place):
            asked = list(group)
            names = sorted({line.text.split()[-1] for line in asked}, key=lambda name: (
                not name.isupper() or len(name) == 1, not name[:1].isupper(), name))
            one = text or f"from {module} import {', '.join(names)}"
            if not text and len(one) > 100:
                one = "\n    ".join([f"from {module} import (", *(f"{x}," for x in names)]) + "\n)"
            places = tuple((line.chapter, line.row) for line in asked)
            lines += [asked[0]._replace(text=line, all=places) for line in one.split("\n")]
    return lines


@lru_cache(maxsize=4000)
def join(parts: tuple[Listing, ...], own: frozenset[str]) -> tuple[list, list, list[Problem]]:
    """A file of these listings, spaced as a careful person does it; its seams; is it Python?"""
    seam, *body = [item for part in parts for item in part.items]
    inside = dict.fromkeys(item.part for item in [seam, *body])
    imports = import_lines([name for part in inside for name in part.imports], own)
    chapters = ", ".join(dict.fromkeys(part.chapter for part in parts))
    seam, doc = seam._replace(seam="><"), seam.part.doc
    items = [Line(f"# Tangled from {chapters}"), *body[:doc], seam, *imports, seam, *body[doc:]]
    out, seams, gap, border = [], [], [], ""
    for n, item in enumerate(items):
        if item.seam:
            border += item.seam
            seams.append((len(out), item))
        elif not item.text.strip():
            gap.append(item)
        else:
            if border:
                gap += [Line("")] * (blank_lines(out, items[n:], "><" in border) - len(gap))
            out += [*gap, item]
            gap, border = [], ""
    return out, seams, not_python(out)


def blank_lines(before: list[Line], after: list[Line], beside: bool) -> int:
    """How many belong between parts: two around a top-level definition, one around a nested one."""
    text, depth = after[0].text, indentation(after[0].text)
    if CONTINUES.match(text) or before[-1].text.lstrip().startswith("@"):
        return 0
    above = next((x.text for x in reversed(before) if x.text.strip()
                  and indentation(x.text) <= depth and not CONTINUES.match(x.text)), "")
    below = next((x.text for x in after if not x.seam  # comments belong to what is below them
                  and not x.text.lstrip().startswith("#")), "")
    if indentation(above) == depth and (DEFINITION.match(above) or DEFINITION.match(below)):
        return 1 if depth else 2
    return int(beside and not depth)


def nearest(lines: list[Line], i: int) -> Line:
    """The first of these lines from here on that a chapter has, or the last one before."""
    return next((line for line in [*lines[i:], *lines[:i][::-1]] if line.row), Line(""))


def not_python(lines: list[Line]) -> list[Problem]:
    """The first reason why these lines are not Python, if they are not, where it stands."""
    if any(REFERENCE.match(line.text) for line in lines):
        return []  # it is not whole, which is another problem
    try:
        with warnings.catch_warnings(action="ignore"):
            compile("".join(f"{x.text}\n" for x in lines), "listing", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        near = nearest(lines, (getattr(error, "lineno", None) or len(lines)) - 1)
        reason = str(getattr(error, "msg", error)).partition(" on line ")[0]
        return [Problem(near.chapter, near.row, f"{NOT_PYTHON}: {reason}; mend it here")]
    return []


def assemble(texts: dict[str, str]) -> Book:
    """Everything that follows from the chapters' texts alone."""
    book, parts = Book(texts), {}
    for chapter, text in texts.items():
        listings, problems = read_chapter(chapter, text)
        book.listings += listings
        book.problems += problems
    for part in book.listings:
        if part.items:
            parts.setdefault(part.file, []).append(part)
    book.problems += mistakes(book.listings)
    book.own = frozenset(re.split(r"[/.]", file)[0] for file in parts)
    for file, listings in parts.items():
        book.files[file], book.seams[file], problems = join(tuple(listings), book.own)
        book.plain[file] = [line.text for line in book.files[file]]
        book.problems += problems
    return book


def mistakes(listings: list[Listing]) -> Iterator[Problem]:
    """What is wrong with the names of fragments and files in the whole book."""
    defined: dict[str, Listing] = {}
    spelled: dict[str, str] = {}
    for part in listings:
        first = defined.setdefault(part.name, part)
        if part.name and first.chapter != part.chapter:
            yield Problem(part.chapter, part.line, f"fragment <<{part.name}>> is already defined "
                          f"in {first.chapter}:{first.line}; give one of the two another name")
        folders = [f"{folder}/" for folder in PurePosixPath(part.file or "").parents]
        for place in [part.file or "", *folders][:-1]:
            known = spelled.setdefault(place.casefold().rstrip("/"), place)
            if known != place:
                yield Problem(part.chapter, part.line, f"src/{place} and src/{known} cannot both "
                              "be there on every system; rename one")


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
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


def changes(old: list[str], new: list[str]) -> list[list[int]]:
    """Where two texts differ: each [i, j, k, m] says that old[i:j] has become new[k:m].

    Where as many lines came as went, each is taken by itself.
    """
    head, found = same(old, new), []
    tail = same(old[head:][::-1], new[head:][::-1])
    matcher = difflib.SequenceMatcher(None, old[head:len(old) - tail], new[head:len(new) - tail],
                                      autojunk=len(old) + len(new) > 5000)
    for tag, *ends in matcher.get_opcodes():
        i, j, k, m = (end + head for end in ends)
        if j - i == m - k:
            found += [[i + n, i + n + 1, k + n, k + n + 1] for n in range(j - i)
                      if old[i + n] != new[k + n]]
        elif tag != "equal":
            found.append([i, j, k, m])
    return found


def placed(book: Book, file: str, i: int, j: int, new: list[str]) -> list[Edit]:
    """The edits that make the lines i to j of a file new; none if there is no place for them.

    Lines stand in for those that they replace. New ones go behind the line above them, or where
    a listing ends or begins there, to the first place that is indented no deeper than they are;
    but to the line below, if imports are above, or only from what is above a blank line parts them.
    """
    lines, old = book.files[file], book.plain[file]
    owned = [x for x in lines[i:j] if x.row]
    gone = [(x.chapter, x.row, x.row + 1, []) for x in owned]
    if not new or len({x.part for x in owned}) > 1:
        return [] if new else gone
    start = next((n for n in range(i, 0, -1) if old[n - 1].strip()), 0)
    if i == j and start and not lines[start - 1].all:  # with the blank lines above, but not imports
        blanks = same(old[start:i][::-1], new[::-1])
        i, j, new = i - blanks, j - blanks, new[len(new) - blanks:] + new[:len(new) - blanks]
    spots = [x._replace(row=x.row + 1) for x in owned or lines[:start] if x.row][-1:]
    spots += [seam for n, seam in book.seams[file] if start <= n <= j]
    if start < i == j < len(old) and indentation(new[0]) == indentation(old[j]) and lines[j].row:
        spots = [lines[j]]
    for x in spots:
        if not any(text[:x.indent].strip() for text in new):
            return [*gone, (x.chapter, x.row, x.row, [text[x.indent:] for text in new])]
    return []


def move_imports(book: Book, file: str, now: list[str]) -> Iterator[Edit]:
    """The edits that add and take away the imports of a file, at the heads of its listings.

    A new one goes where something comes from the same module, or else where imports are at all.
    """
    parts = book.inside(file)
    wanted = {line.text: 0 for line in read_head("\n".join([*now[1:], ""]), True)[-1]}
    had = {part: [line.text for line in part.imports] for part in parts}
    names = {part: [name for name in had[part] if name in wanted] for part in parts}
    known = {name for mine in had.values() for name in mine}
    for name in [name for name in wanted if name not in known]:
        home = max(parts, key=lambda part: (
            name.split()[1] in [line.split()[1] for line in had[part]], bool(had[part])))
        names[home].append(name)
    for part, mine in names.items():
        if mine != had[part]:
            lines = [line.text for line in import_lines([Line(name) for name in mine], book.own)]
            head, start = part.lines[part.doc:part.rest], part.line + 1
            below = [*takewhile(lambda line: not line.strip(), head[::-1])] or [""] * bool(lines)
            lines = [""] * bool(part.doc and lines) + lines + below if lines or part.doc else []
            yield part.chapter, start + part.doc, start + part.rest, lines


def unpick(book: Book, now: dict[str, list[str]]) -> tuple[Book, list[Problem]]:
    """The book that makes these files what they are now, or what has no place in it.

    Whether the edits are right is judged by tangling: every file must come back, edited or not.
    """
    moves = [edit for file in now for edit in move_imports(book, file, now[file])]
    book, problems = assemble(apply(book.texts, moves)), []
    hunks = {file: found for file in now if (found := changes(book.plain[file], now[file]))}
    edits = [edit for file in hunks for i, j, k, m in hunks[file]
             for edit in placed(book, file, i, j, now[file][k:m])]
    whole = assemble(apply(book.texts, edits))
    if whole.plain == book.plain | now:
        return whole, []
    for file in [x for x in hunks if whole.plain.get(x) != now[x]] or hunks:
        at, lines = same(whole.plain.get(file, []), now[file]), book.files[file]
        fences = [x for x in hunks[file] if any(re.match(FENCE, y) for y in now[file][x[2]:x[3]])]
        i, j, k, _ = max((x for x in fences or hunks[file] if x[2] <= at),
                         default=(fences or hunks[file])[0])
        rows = [x for x in lines[i:j + 1] if x.row] or [nearest(lines, i)]
        near = dict.fromkeys(f"{x.chapter}:{x.row}" for x in rows[:1] + rows[-1:])
        problems.append(Problem(
            f"src/{file}", k + 1, f"no one place near {' and '.join(near)} gives this back "
            "(the first line, the order of imports and blank lines between listings are the "
            "tangler's, and a line of ticks ends a listing); make the change there"))
    return book, problems


def merge(base: list[str], ours: list[str], theirs: list[str]) -> tuple[list[str], list[list]]:
    """Their lines with our changes; and where both changed the same, as [i, j, k, m] of each."""
    merged, met, hunks = theirs[:], [], changes(base, theirs)
    for i, j, k, m in reversed(changes(base, ours)):
        found = [x for x in hunks if (x[0] < j and i < x[1]) or x[:2] == [i, j]]
        at = i + sum(d - c - (b - a) for a, b, c, d in hunks if b <= i)
        if not found:
            merged[at:at + j - i] = ours[k:m]
        elif (found[0][:2], theirs[found[0][2]:found[0][3]]) != ([i, j], ours[k:m]):
            met.append([found[0][2], found[-1][3], k, m])
    return merged, met[::-1]


# ------------------------------------------------------------ the book on disk

MEMORY = ".tangle/memory.json"
CHAPTER = re.compile(r"""^\s*(?:-\s+)?(?:root|file):\s*["']?([^"'#]+?)["']?\s*(?:#.*)?$""")


def reading_order(toc: str) -> dict[str, int]:
    """The chapters that _toc.yml names, with their lines in it."""
    found = [(m[1], i) for i, line in enumerate(split(toc), 1) if (m := CHAPTER.match(line))]
    return {name if name.endswith(".md") else f"{name}.md": i for name, i in found}


def load(root: Path) -> Book:
    """The book in this folder, read and checked."""
    order, src = reading_order(on_disk(root / "_toc.yml") or ""), (root / "src").resolve()
    texts = {chapter: on_disk(root / chapter) for chapter in order}
    book = assemble({chapter: text or "" for chapter, text in texts.items()})
    wrong = [] if order else [
        ("_toc.yml", 1, f"names no chapters in {root}; say where the book is with --root")]
    wrong += [("_toc.yml", order[chapter], f"{chapter} is not there; write it, or take this out")
              for chapter in order if texts[chapter] is None]
    for path in sorted(root.glob("book/**/*.md")):
        if (chapter := path.relative_to(root).as_posix()) not in order:
            wrong += [(chapter, part.line, "a listing in a chapter that _toc.yml does not name; "
                       "add it") for part in read_chapter(chapter, on_disk(path) or "")[0]]
    for file in book.files:
        if not (src / file).resolve().is_relative_to(src):
            part = book.inside(file)[0]
            wrong.append((part.chapter, part.line, f"file={file} leaves src/ through a symbolic "
                          "link; remove the link"))
    book.problems = sorted({*book.problems, *(Problem(*what) for what in wrong)}, key=lambda x: (
        {"_toc.yml": 0, **order}.get(x.path, sys.maxsize), x.row, x.message))
    return book


def sound(root: Path, python: bool = True) -> Book:
    """The book in this folder, if nothing is wrong with it, but for its Python if that is let."""
    book = load(root)
    if found := [x for x in book.problems if python or not x.message.startswith(NOT_PYTHON)]:
        raise Refused(*found)
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


def history(root: Path) -> list[dict[str, list[str]]]:
    """What src/ may have been tangled as: here, the last time, and from the book at git's HEAD.

    What was tangled here is kept in .tangle/, which git ignores: no merge can break it.
    """
    def at_head(name: str) -> str:
        command = ["git", "-C", root, "show", f"HEAD:./{name}"]
        return subprocess.run(command, capture_output=True, check=True).stdout.decode()

    known: list[dict[str, list[str]]] = []
    with contextlib.suppress(ValueError, TypeError):  # a broken memory is none
        known += [dict(src) for src in json.loads(on_disk(root / MEMORY) or "[]")]
    with contextlib.suppress(OSError, ValueError, subprocess.CalledProcessError):
        order = reading_order(at_head("_toc.yml"))  # there may be no git here, or no book in it
        known.append(assemble({name: at_head(name) for name in order}).plain)
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
        else:
            path.unlink()
            while (path := path.parent) != root / "src" and (
                    all(item.name == "__pycache__" for item in path.iterdir())):
                shutil.rmtree(path)
        print(f"{'wrote' if file in book.files else 'removed'} src/{file}")
    if on_disk(root / MEMORY) != (memory := json.dumps([book.plain])):
        write(root / MEMORY, memory)


def difference(old: list[Line], now: list[str]) -> str:
    """The changes from these lines to others, each at its chapter line."""
    out, was = [], [line.text for line in old]
    for i, j, k, m in changes(was, now):
        near = nearest(old, i)
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
        with contextlib.suppress(ImportError):  # on Windows, keep them apart yourself
            import fcntl
            fcntl.flock(lock, fcntl.LOCK_EX)
        was = book = sound(root, python=edits != "stitched")
        found = drift(root, was)
        known = history(root) if found else []
        edited = {file: lines for file, lines in found.items()
                  if lines is not None and all(src.get(file) != lines for src in known)}
        ours = {x: edited[x] for x in edited if any(x in src for src in [was.files, *known])}
        if edits == "stitched":
            book = stitched(was, edited, known) if edited else sound(root)
        elif ours and edits == "kept":
            show(ours, was)
            raise Refused("nothing was written; `tangle.py stitch` carries the edits into the "
                          "book, `tangle.py --discard` drops them", status=1)
        if drift(root, was) != found or any(
                on_disk(root / chapter) != text for chapter, text in was.texts.items()):
            raise Refused("a file was saved meanwhile; nothing was written: run it again", status=1)
        settle(root, book, known)


def stitched(book: Book, edited: dict[str, list[str]], known: list[dict]) -> Book:
    """The book with the edits made by hand in src/, all of them, or it is refused.

    Where chapters were changed too, both changes stand, or are shown where they meet.
    """
    goal, problems = {}, []
    for file, ours in edited.items():
        path, bases = f"src/{file}", [src[file] for src in known if file in src]
        if not bases or file not in book.files:
            problems.append(Problem(path, 1, "no listing makes this file; take it away, "
                                    f"write ```python file={file} in a chapter, and put it back"))
            continue
        problems += not_python([Line(x, path, i) for i, x in enumerate(ours, 1)])
        lines, theirs = book.files[file], book.plain[file]
        base = min(bases, key=lambda base: (  # the nearest, or of two, what the chapters say
            sum(j - i + m - k for i, j, k, m in changes(base, ours)), base != theirs))
        goal[file], met = merge(base, ours, theirs)
        for i, j, k, m in met:
            near = nearest(lines, i)
            problems.append(Problem(near.chapter, near.row, "\n    ".join([
                "changed here and in src/; make the two agree, then stitch again",
                *(f"chapter: {x}" for x in theirs[i:j]), *(f"src:     {x}" for x in ours[k:m])])))
    if not problems:
        book, problems = unpick(book, goal)
        problems = problems or [x._replace(message=f"after the edits in src/: {x.message}")
                                for x in book.problems]
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


def on_this_side(root: Path, book: Book, file: str) -> list[Line]:
    """The lines of a file as it is in src/, those edited by hand without a place in a chapter."""
    lines, now = book.files[file][:], split(on_disk(root / "src" / file) or "")
    for i, j, k, m in reversed(changes(book.plain[file], now)):
        lines[i:j] = [Line(text) for text in now[k:m]]
    return lines


def where(root: Path, place: str) -> None:
    """From a line of src/ to its chapter, or the other way; a column may follow the line."""
    match = re.fullmatch(r"(.+?):(\d+)(?::(\d+))?", place)
    if match is None:
        raise Refused(f"{place}: expected FILE:LINE, such as book/1957-bellman.md:120")
    book, number, column = sound(root), int(match[2]), int(match[3] or 0)
    paths = os.path.relpath(match[1], root), match[1]  # as the caller sees it, or the book
    path = next((x for x in paths if x in book.texts or x.removeprefix("src/") in book.files), None)
    if path is None:
        raise Refused(f"{match[1]} is neither a chapter nor a tangled file")
    if path in book.texts:
        found = [(f"src/{file}", i, x.indent) for file, lines in book.files.items()
                 for i, x in enumerate(lines, 1) if (path, number) in [(x.chapter, x.row), *x.all]]
    else:
        lines = on_this_side(root, book, path.removeprefix("src/"))[max(0, number - 1):number]
        found = [(x.chapter, x.row, -x.indent) for x in lines if x.row]
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
    sys.exit(main())

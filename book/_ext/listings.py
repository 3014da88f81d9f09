"""Weaves the book's listings: captions, feet, links, their index, and a page per tangled file.

MyST hands each ```python fence to the directive `python` (`myst_fence_as_directive`). What is
a listing, where its lines go and in which order, `tangle.py` says: there is one parser.
A `part` is a listing in its web; its `home` is the file that its lines end up in.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import do_insertions
from pygments.lexers.python import PythonLexer
from pygments.token import Name
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx.domains import Domain
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

sys.path.append(str(Path(__file__).resolve().parents[2]))  # tangle.py stands at the book's root
import tangle

log = logging.getLogger(__name__)


# ------------------------------------------------------------ the web of listings


DEFINITION = re.compile(r"(?:(?:async +)?def|class) +(\w+)")


@dataclass(eq=False)
class Part:
    """A listing and its neighbours."""

    listing: tangle.Listing
    anchor: str
    home: str | None = None
    lands: bool = False  # a line of it stands in its home: imports that others ask for may not
    file_before: Part | None = None
    file_after: Part | None = None
    name_before: Part | None = None
    name_after: Part | None = None
    user: Part | None = None

    @property
    def doc(self) -> str:
        return self.listing.chapter.removesuffix(".md")

    @property
    def label(self) -> str:
        """Its name, or else what it defines, or else its file."""
        if self.listing.name:
            return f"⟨{self.listing.name}⟩"
        defined = [match[1] for line in self.listing.lines if (match := DEFINITION.match(line))]
        return ", ".join(defined) or str(self.listing.file)

    @property
    def home_anchor(self) -> str:
        """Where it begins on the page of its home, which takes parts from several chapters."""
        return f"{Path(self.doc).name}-{self.anchor}"


class Web:
    """Every listing of the book, linked to those before, after and around it."""

    def __init__(self, book: tangle.Book):
        self.book = book
        self.parts: dict[str, list[Part]] = {}
        for listing in book.listings:
            of_doc = self.parts.setdefault(listing.chapter.removesuffix(".md"), [])
            of_doc.append(Part(listing, unique_anchor(listing, {part.anchor for part in of_doc})))
        self.first: dict[str, Part] = {}  # by fragment name
        self.files: dict[str, dict[str, list[Part]]] = {}  # the parts of a file, by chapter
        self._link()
        self._settle()

    def all(self) -> Iterator[Part]:
        """In reading order."""
        for parts in self.parts.values():
            yield from parts

    def part(self, doc: str, anchor: str) -> Part:
        return next(part for part in self.parts[doc] if part.anchor == anchor)

    def origin(self, line: tangle.Line) -> Part | None:
        """The part that a tangled line comes from; None for what the tangler wrote."""
        of_doc = self.parts.get(line.chapter.removesuffix(".md"), [])
        i = bisect_right(of_doc, line.row, key=lambda part: part.listing.line)
        return of_doc[i - 1] if i and line.row else None

    def _link(self) -> None:
        last_of_file: dict[str, Part] = {}
        last_of_name: dict[str, Part] = {}
        for part in self.all():
            file, name = part.listing.file, part.listing.name
            if file:
                part.file_before = last_of_file.get(file)
                if part.file_before:
                    part.file_before.file_after = part
                last_of_file[file] = part
            if name:
                self.first.setdefault(name, part)
                part.name_before = last_of_name.get(name)
                if part.name_before:
                    part.name_before.name_after = part
                last_of_name[name] = part
        for part in self.all():
            for name in references(part.listing.lines):
                used = self.first.get(name)
                while used:
                    used.user, used = part, used.name_after

    def _settle(self) -> None:
        """Find the home of each part: fragments go where their lines go."""
        for file, lines in self.book.files.items():
            for line in lines:
                if part := self.origin(line):
                    part.home, part.lands = file, True
        for part in self.all():
            part.home = part.home or part.listing.file
            if part.home:
                self.files.setdefault(part.home, {}).setdefault(part.doc, []).append(part)


def unique_anchor(listing: tangle.Listing, taken: set[str]) -> str:
    """An id that depends on the listing's own chapter only."""
    words = re.findall(r"[a-z0-9]+", (listing.name or str(listing.file)).lower())
    anchor = stem = "-".join(["listing", *words])
    count = 1
    while anchor in taken:
        count += 1
        anchor = f"{stem}-{count}"
    return anchor


def references(lines: list[str]) -> list[str]:
    return [match[2].strip() for line in lines if (match := tangle.REFERENCE.match(line))]


# ------------------------------------------------------------ reading a chapter


class ListingBox(nodes.General, nodes.Element):
    """The frame of a listing: caption, code, foot."""


class ListingCode(nodes.literal_block):
    """The code of a listing; `uris` are the targets of its references, in order."""


class IndexPlace(nodes.General, nodes.Element):
    """Where an index of listings will stand."""


class PythonFence(SphinxDirective):
    """A ```python fence: a listing where it has attributes, else an ordinary block."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        part = self._part()
        if part is None:
            code = "\n".join(self.content)
            block = nodes.literal_block(code, code, language="python")
            self.set_source_info(block)
            return [block]
        code = "\n".join(part.listing.lines)
        box = ListingBox("", ListingCode(code, code, language="listing", uris=[]))
        box["ids"] = [part.anchor]
        self.set_source_info(box)
        self.set_source_info(box[0])
        self.state.document.note_explicit_target(box)
        return [box]

    def _part(self) -> Part | None:
        """This fence among the chapter's listings: the next one that reads the same.

        Not by line: in a chapter with cells, MyST-NB's lines are off by the blank ones it drops.
        """
        try:
            info = tangle.read_info(self.arguments[0] if self.arguments else "")
        except ValueError:
            return None
        seen = self.env.temp_data.setdefault("listings", set())
        for part in self.env.get_domain("listing").web.parts.get(self.env.docname, []):
            listing = part.listing
            if (
                part.anchor not in seen
                and (listing.file, listing.name) == info
                and without_blank_ends(listing.lines) == without_blank_ends(list(self.content))
            ):
                seen.add(part.anchor)
                return part
        if any(info):
            self.env.temp_data["unseen"] = self.arguments[0]
        return None


def without_blank_ends(lines: list[str]) -> str:
    return "\n".join(lines).strip("\n")


class ListingIndex(SphinxDirective):
    """`{listing-index} files` or `{listing-index} fragments`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        if self.arguments[0] not in ("files", "fragments"):
            raise self.error(
                f"{self.arguments[0]!r} is no index of listings; "
                "write {listing-index} files, or {listing-index} fragments"
            )
        self.env.metadata[self.env.docname]["listing_index"] = True
        return [IndexPlace(of=self.arguments[0])]


class ListingDomain(Domain):
    """Holds the web during a build, and between builds what each page's links said."""

    name = "listing"
    label = "Listings"
    initial_data: ClassVar = {"links": {}}

    @cached_property
    def web(self) -> Web:
        return Web(tangle.load(Path(self.env.srcdir)))

    def merge_domaindata(self, docnames: list[str], otherdata: dict) -> None:
        """Nothing to merge: reading a chapter stores nothing here."""

    def resolve_any_xref(self, *args: Any) -> list:
        return []


def report_problems(app: Sphinx) -> None:
    for problem in app.env.get_domain("listing").web.book.problems:
        log.warning("%s", problem.message, location=f"{problem.path}:{problem.row}")


def report_differences(app: Sphinx, doctree: nodes.document) -> None:
    """Warn where MyST, which knows more than CommonMark, and tangle.py see different listings.

    Where a chapter's listings have problems of their own, these were told.
    """
    web = app.env.get_domain("listing").web
    chapter, data = f"{app.env.docname}.md", app.env.temp_data
    if tangle.on_disk(Path(app.srcdir) / chapter) != web.book.texts.get(chapter):
        app.env.note_reread()  # it was saved during this build: the next one reads it again
        return
    if any(problem.path == chapter for problem in web.book.problems):
        return
    for part in web.parts.get(app.env.docname, []):
        if part.anchor not in data.get("listings", ()):
            words = "Markdown does not show this listing; take it out of what is around it"
            log.warning(words, location=f"{chapter}:{part.listing.line}")
    if info := data.get("unseen"):
        words = "tangle.py does not see the listing with %s; write it inside no other block"
        log.warning(words, info, location=f"{chapter}:1")


# ------------------------------------------------------------ writing a page


def title(env: BuildEnvironment, doc: str) -> str:
    return env.titles[doc].astext() if doc in env.titles else doc


def caption_words(part: Part) -> tuple[str, str]:
    """What to say beside its name and beside its file."""
    file = "continued" if part.file_before else "begins here" if part.listing.file else ""
    return "continued" if part.name_before else "", file


def foot_items(env: BuildEnvironment, part: Part) -> list[tuple[str, str, str, str]]:
    """What stands below a listing: words, the words that are a link, its page and anchor."""

    def place(other: Part, here: str) -> str:
        return here if other.doc == part.doc else title(env, other.doc)

    items = []
    both = bool(part.listing.name and part.listing.file)
    for what, before, after in (
        ("Fragment", part.name_before, part.name_after),
        ("File", part.file_before, part.file_after),
    ):
        if before:
            words = f"{what} continues from" if both else "Continues from"
            items.append((words, place(before, "above"), before.doc, before.anchor))
        if after:
            within = "" if after.doc == part.doc else " in"
            words = f"{what} continued{within}" if both else f"Continued{within}"
            items.append((words, place(after, "below"), after.doc, after.anchor))
    if part.user:
        items.append(("Used in", part.user.label, part.user.doc, part.user.anchor))
    return items


def has_file_pages(builder: Builder) -> bool:
    return builder.name in ("html", "dirhtml")


class Weave(SphinxPostTransform):
    """Write captions, feet and links, from the whole book."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        web = self.env.get_domain("listing").web
        for box in self.document.findall(ListingBox):
            self._frame(web, web.part(self.env.docname, box["ids"][0]), box)
        for place in list(self.document.findall(IndexPlace)):
            listed = self._files(web) if place["of"] == "files" else self._fragments(web)
            place.replace_self(listed)

    def _frame(self, web: Web, part: Part, box: ListingBox) -> None:
        code = box[0]
        code["uris"] = [
            self._link(used.doc, used.anchor, "").get("refuri", f"#{used.anchor}") if used else None
            for used in map(web.first.get, references(part.listing.lines))
        ]
        beside_name, beside_file = caption_words(part)
        head = nodes.paragraph(classes=["listing-head"])
        if part.listing.name:
            head += nodes.inline("", part.label, classes=["listing-name"])
            head += self._mark(beside_name)
        if part.home:
            anchor = part.home_anchor if part.lands else ""
            head += [nodes.Text(" "), self._file_link(part.home, anchor), *self._mark(beside_file)]
        box.insert(0, head)
        if items := foot_items(self.env, part):
            foot = nodes.paragraph(classes=["listing-foot"])
            for words, label, doc, anchor in items:
                link = self._link(doc, anchor, label)
                foot += nodes.inline("", f"{words} ", link, classes=["listing-way"])
                foot += nodes.Text(" ")
            box += foot

    def _mark(self, words: str) -> list[nodes.Node]:
        if not words:
            return []
        return [nodes.Text(" "), nodes.inline("", words, classes=["listing-mark"])]

    def _link(self, doc: str, anchor: str, words: str, *inside: nodes.Node) -> nodes.reference:
        inside = inside or (nodes.inline("", words),)
        return make_refnode(self.app.builder, self.env.docname, doc, anchor, list(inside))

    def _file_link(self, file: str, anchor: str = "") -> nodes.Element:
        name = nodes.literal("", file, classes=["listing-file"])
        if not has_file_pages(self.app.builder):
            return name
        return self._link(f"src/{file}", anchor, "", name)

    def _files(self, web: Web) -> nodes.definition_list:
        """Each file, with its parts by chapter."""
        entries = nodes.definition_list(classes=["listing-index"])
        for file, by_doc in sorted(web.files.items()):
            chapters = nodes.definition()
            for doc, parts in by_doc.items():
                chapter = nodes.paragraph("", "", self._link(doc, "", title(self.env, doc)))
                for i, part in enumerate(part for part in parts if not part.name_before):
                    link = self._link(doc, part.anchor, part.label)
                    chapter += [nodes.Text(", " if i else ": "), link]
                chapters += chapter
            term = nodes.term("", "", self._file_link(file))
            entries += nodes.definition_list_item("", term, chapters)
        return entries

    def _fragments(self, web: Web) -> nodes.bullet_list:
        """Each fragment by the alphabet, with its file and chapter."""
        entries = nodes.bullet_list(classes=["listing-index"])
        for name in sorted(web.first, key=str.casefold):
            part = web.first[name]
            entry = nodes.paragraph("", "", self._link(part.doc, part.anchor, part.label))
            if part.home:
                entry += [nodes.Text(" in "), self._file_link(part.home)]
            entry += [nodes.Text(", "), self._link(part.doc, "", title(self.env, part.doc))]
            entries += nodes.list_item("", entry)
        return entries


def relinked_pages(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages whose captions, feet or index say something new, though their text is the same."""
    domain = env.get_domain("listing")
    web = domain.web
    links: dict[str, Any] = {}
    for doc, parts in web.parts.items():
        links[doc] = [
            (part.anchor, part.home, part.lands, caption_words(part), foot_items(env, part))
            for part in parts
        ]
    index = [
        (file, doc, title(env, doc), [(part.anchor, part.label) for part in parts])
        for file, by_doc in web.files.items()
        for doc, parts in by_doc.items()
    ]
    links |= {doc: index for doc in index_pages(env)}
    before, domain.data["links"] = domain.data["links"], links
    return [doc for doc in links if doc in env.all_docs and links[doc] != before.get(doc)]


def index_pages(env: BuildEnvironment) -> list[str]:
    return [doc for doc in sorted(env.all_docs) if env.metadata[doc].get("listing_index")]


# ------------------------------------------------------------ code in HTML


class ListingLexer(PythonLexer):
    """Python in which a `<<reference>>` is one token, a Name.Label, which Python has not."""

    name = "Python with references"
    aliases: ClassVar = ["listing"]

    def get_tokens_unprocessed(self, text: str, stack: tuple = ("root",)) -> Iterator[tuple]:
        bare, insertions = "", []
        for line in text.splitlines(keepends=True):
            if match := tangle.REFERENCE.match(line.rstrip("\n")):
                mark = f"<<{match[2]}>>"
                insertions.append((len(bare) + len(match[1]), [(0, Name.Label, mark)]))
                line = line.replace(mark, "")
            bare += line
        return do_insertions(insertions, super().get_tokens_unprocessed(bare, stack))


def visit_code(self: Any, node: ListingCode) -> None:
    """As an ordinary block, with its references made links.

    What stands in the page is still `<<name>>`, so that this is what is copied;
    the style sheet draws the brackets.
    """
    uris = iter(node["uris"])

    def link(match: re.Match) -> str:
        uri = next(uris)
        text = f"<span>&lt;&lt;</span>{match[1]}<span>&gt;&gt;</span>"
        return f'<a class="listing-ref" href="{escape(uri)}">{text}</a>' if uri else match[0]

    try:
        self.visit_literal_block(node)
    except nodes.SkipNode:
        block = self.body[-1].replace("<pre>", '<pre tabindex="0">', 1)
        self.body[-1] = re.sub(r'<span class="nl">&lt;&lt;(.*?)&gt;&gt;</span>', link, block)
        raise


def visit_box(self: Any, node: ListingBox) -> None:
    self.body.append(self.starttag(node, "div", CLASS="listing"))


def depart_box(self: Any, node: ListingBox) -> None:
    self.body.append("</div>\n")


# ------------------------------------------------------------ a page per file


def file_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, str], str]]:
    """The pages that are older than a chapter they take lines from; the others stand."""
    if not has_file_pages(app.builder):
        return
    web = app.env.get_domain("listing").web
    pages = set()
    for file in web.book.files:
        page = Path(app.builder.get_outfilename(f"src/{file}"))
        pages.add(page)
        docs = list(web.files.get(file, ()))
        chapters = [Path(app.builder.get_outfilename(doc)) for doc in docs]
        if written(page) <= max(map(written, chapters), default=0):
            context = {"title": escape(file), "body": file_body(app, web, file, docs)}
            yield f"src/{file}", context, "page.html"
    for page in (Path(app.outdir) / "src").rglob("*.html"):
        if page not in pages:
            page.unlink()


def written(page: Path) -> int:
    return page.stat().st_mtime_ns if page.exists() else 0


def file_body(app: Sphinx, web: Web, file: str, docs: list[str]) -> str:
    """The whole source, each run of lines with a link to the listing it comes from."""
    env = app.env

    def link(doc: str, anchor: str, words: str, attributes: str = "") -> str:
        uri = app.builder.get_relative_uri(f"src/{file}", doc) + (f"#{anchor}" if anchor else "")
        return f'<a{attributes} href="{escape(uri)}">{escape(words)}</a>'

    chapters = [link(doc, "", title(env, doc)) for doc in docs]
    about = "From " + " and ".join(filter(None, [", ".join(chapters[:-1]), *chapters[-1:]])) + "."
    about += "".join(f" All files: {link(doc, '', title(env, doc))}." for doc in index_pages(env))
    lines = web.book.files[file]
    code = highlight(web.book.source(file), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    shown = code.split("\n")
    blocks = []
    for part, numbers, ident in runs(web, lines):
        origin = ""
        if part:
            words = part.label if part.listing.name else title(env, part.doc)
            place = escape(f"{title(env, part.doc)}, line {part.listing.line} of its source")
            origin = link(part.doc, part.anchor, words, f' class="origin" title="{place}"')
        code = "".join(
            f'<span class="line" id="L{n}"><a class="linenos" href="#L{n}" data-line="{n}"'
            f' aria-label="line {n}"></a>{shown[n - 1]}\n</span>'
            for n in numbers
        )
        blocks.append(f'<span class="run"{ident}>{origin}<span class="lines">{code}</span></span>')
    return (
        f"<h1>{escape(file).replace('/', '/<wbr>')}</h1>\n<p>{about}</p>\n"
        '<div class="listing-source highlight"><pre tabindex="0">'
        f"{''.join(blocks)}</pre></div>\n"
    )


def runs(web: Web, lines: list[tangle.Line]) -> list[tuple[Part | None, list[int], str]]:
    """Line numbers by the part they come from, and the id of the run where a part begins.

    A line that the tangler made belongs to the run before it. Imports stand at the head of
    the file, so a part begins where its first other line does.
    """
    found: list[tuple[Part | None, list[int]]] = []
    begins: dict[Part, int] = {}
    gathered: dict[Part, int] = {}
    for number, line in enumerate(lines, 1):
        part = web.origin(line)
        if not found or (line.row and part is not found[-1][0]):
            found.append((part, []))
        found[-1][1].append(number)
        if part:
            source = part.listing.lines[line.row - part.listing.line - 1]
            imported = source.startswith(("import ", "from "))
            (gathered if imported else begins).setdefault(part, len(found) - 1)
    begins = gathered | begins
    return [
        (part, numbers, f' id="{part.home_anchor}"' if part and begins[part] == i else "")
        for i, (part, numbers) in enumerate(found)
    ]


def hide_origins_from_copies(app: Sphinx, config: Any) -> None:
    """The copy button of a file's page copies the file."""
    if "copybutton_exclude" in config:
        config.copybutton_exclude += ", .origin"


# ------------------------------------------------------------ set-up


def setup(app: Sphinx) -> dict[str, Any]:
    nothing = (lambda self, node: None, lambda self, node: None)
    block = (
        lambda self, node: self.visit_literal_block(node),
        lambda self, node: self.depart_literal_block(node),
    )
    latex_box = (
        lambda self, node: self.body.append(self.hypertarget_to(node)),
        lambda self, node: None,
    )
    others = ("text", "man", "texinfo")
    app.add_domain(ListingDomain)
    app.add_lexer("listing", ListingLexer)
    app.add_directive("python", PythonFence)
    app.add_directive("listing-index", ListingIndex)
    app.add_node(
        ListingBox, html=(visit_box, depart_box), latex=latex_box, **dict.fromkeys(others, nothing)
    )
    app.add_node(ListingCode, html=(visit_code, None), latex=block, **dict.fromkeys(others, block))
    app.add_node(IndexPlace)
    app.add_post_transform(Weave)
    app.connect("config-inited", hide_origins_from_copies, priority=400)
    app.connect("builder-inited", report_problems)
    app.connect("doctree-read", report_differences)
    app.connect("env-updated", relinked_pages)
    app.connect("html-collect-pages", file_pages)
    app.add_css_file("listings.css")
    return {"env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}

"""What a page of the site loads: nothing from another host, no more than it uses, and text first.

Also the minus sign, which the numbers that come from cells have as a hyphen. And the rule that
makes a build trustworthy: it counts as done only when its pages are written without a warning, and
until then every page is made again.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import ENV_PICKLE_FILENAME, Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform

# The parts of MathJax that the book uses, and the fonts; the whole is eight times as large.
MATHJAX = ["core", "input/tex-base", "output/chtml", "a11y/assistive-mml"]
MATHJAX_TEX = ["ams", "boldsymbol", "newcommand"]
MATHJAX_FILES = [
    "startup.js",
    "output/chtml/fonts/tex.js",
    *(f"{part}.js" for part in MATHJAX),
    *(f"input/tex/extensions/{part}.js" for part in MATHJAX_TEX),
]
MATHJAX_FONTS = "output/chtml/fonts/woff-v2"

FRONT_DOOR = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={first}">
<link rel="icon" href="_static/favicon.svg">
<title>{title}</title>
<p><a href="{first}">{title}</a></p>
</html>
"""


class Minus(SphinxPostTransform):
    """Give negative numbers in prose and tables their sign; code stays as it is."""

    default_priority = 900  # the outputs of cells are in their places
    hyphen = re.compile(r"(?<![\w.-])-(?=\d)")
    as_written = (nodes.FixedTextElement, nodes.literal, nodes.math, nodes.raw)

    def run(self, **kwargs: Any) -> None:
        for text in list(self.document.findall(nodes.Text)):
            above = text.parent
            while above is not None and not isinstance(above, self.as_written):
                above = above.parent
            if above is None and self.hyphen.search(text):
                text.parent.replace(text, nodes.Text(self.hyphen.sub("−", text)))


def configure(app: Sphinx, config: Config) -> None:
    """Point at our own MathJax, and let pages follow a change of what they are made with."""
    root = Path(app.srcdir)
    config.pages_assets = digest(root / name for name in config.html_static_path)
    config.pages_extensions = digest([root / "book" / "_ext"])
    config.mathjax_path = "mathjax/startup.js"
    config.mathjax3_config = {
        "loader": {"load": MATHJAX + [f"[tex]/{part}" for part in MATHJAX_TEX]},
        "tex": {"packages": {"[+]": MATHJAX_TEX}},
    }


def digest(folders: Any) -> str:
    """Digest of the names and contents of all files below the folders."""
    total = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()


def lighten(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Drop the scripts that a page has no use for; let all others wait until it is shown."""
    mathematics, film = 'class="math', "<pw-film"
    only_for = {"film.js": film, "mathematics.js": mathematics, "startup.js": mathematics}
    scripts = []
    for script in context["script_files"]:
        name, body = str(script.filename or ""), script.attributes.get("body") or ""
        used_for = only_for.get(name.rpartition("/")[2])
        if body.startswith("window.MathJax"):
            used_for = mathematics
        if used_for and used_for not in context.get("body", ""):
            continue
        if body.startswith("DOCUMENTATION_OPTIONS."):
            continue  # for the theme's version menu and search as you type: we have neither
        if name:
            script.attributes.pop("defer", None)  # the object is shared between pages
            if pagename != "search":  # there, a script in the page waits for none
                script.attributes["defer"] = "defer"
        scripts.append(script)
    context["script_files"] = scripts


def name_entries(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Call the bibliography's entries what they are; docutils' name for them is out of use."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def bring_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy what MATHJAX names out of the installed package."""
    if error or app.builder.format != "html":
        return
    package = Path(
        str(distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline"))
    )
    source = package / "static" / "mathjax"
    fonts = [f"{MATHJAX_FONTS}/{font.name}" for font in (source / MATHJAX_FONTS).iterdir()]
    for name in MATHJAX_FILES + fonts:
        target = Path(app.outdir, "_static", "mathjax", name)
        if not target.exists() or target.stat().st_size != (source / name).stat().st_size:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target)


def open_front_door(app: Sphinx, error: Exception | None) -> None:
    """Send a reader who comes to the site's root on to the first page."""
    if error or app.builder.format != "html":
        return
    title, first = app.config.html_title, app.builder.get_target_uri(app.config.root_doc)
    Path(app.outdir, "index.html").write_text(
        FRONT_DOOR.format(title=title, first=first), encoding="utf-8"
    )


def begin_writing(app: Sphinx, env: BuildEnvironment) -> None:
    """Set aside what Sphinx knows of the pages until they are written."""
    known = Path(app.doctreedir, ENV_PICKLE_FILENAME)
    known.replace(known.with_suffix(".unfinished"))


def end_writing(app: Sphinx, error: Exception | None) -> None:
    """Put it back if all went well; otherwise the next build warns, or fails, again."""
    known = Path(app.doctreedir, ENV_PICKLE_FILENAME)
    unfinished = known.with_suffix(".unfinished")
    if unfinished.exists() and not error and not app._warncount:
        unfinished.replace(known)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("pages_assets", "", "html")
    app.add_config_value("pages_extensions", "", "env")
    app.add_post_transform(Minus)
    app.connect("config-inited", configure, priority=900)
    app.connect("html-page-context", lighten, priority=900)
    app.connect("html-page-context", name_entries)
    app.connect("env-check-consistency", begin_writing)
    app.connect("build-finished", bring_mathjax)
    app.connect("build-finished", open_front_door, priority=400)
    app.connect("build-finished", end_writing, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

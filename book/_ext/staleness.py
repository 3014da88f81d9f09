"""Say at the end of every build which stored results were made by other code than there is now."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx


def tell(app: Sphinx, exception: Exception | None) -> None:
    """A line for each experiment whose results are stale or missing; their page says so as well."""
    for folder in ("book", "src"):
        path = str(Path(app.srcdir, folder))
        if path not in sys.path:
            sys.path.insert(0, path)
    from evidence.store import outdated

    if names := outdated():
        print(f"stale or missing evidence, run make evidence: {', '.join(names)}", file=sys.stderr)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", tell)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Loaded into a chapter's kernel by execution.py: notes what it reads and where a cell fails.

After every cell the report (a JSON file) says which files of the project were opened or imported so
far, the most memory there was in use, and, if the cell raised, the error and the lines it passed
through: ``[file, line, function]``, where the file of a cell is ``In[n]``.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from traceback import extract_tb
from typing import Any


def megabytes() -> int | None:
    """The most memory that this process has had; None where there is no Linux to say so."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return None
    return round(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1e3)


def load_ipython_extension(shell: Any) -> None:
    """Start to take notes; IPython calls this when the kernel starts."""
    root = Path(os.environ["POLICYWERK_ROOT"])
    report = Path(os.environ["POLICYWERK_REPORT"])
    opened: set[str] = set()

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            mode = arguments[1] or "r"
            if "r" in mode or "+" in mode:
                opened.add(os.path.abspath(os.fsdecode(arguments[0])))

    def name(path: str) -> str | None:
        """The path below the project's root, or None for a file that is not the project's."""
        resolved = Path(os.path.realpath(path))
        if not resolved.is_relative_to(root) or resolved.is_dir():
            return None
        parts = resolved.relative_to(root).parts
        ours = {"_build", "_ext", "__pycache__"} & set(parts) or any(p[0] == "." for p in parts)
        return None if ours else "/".join(parts)

    def failure(error: BaseException) -> dict[str, Any]:
        frames = [
            (frame.filename, frame.lineno, frame.name) for frame in extract_tb(error.__traceback__)
        ]
        if isinstance(error, SyntaxError) and error.filename:
            frames.append((error.filename, error.lineno, ""))
        places = []
        for file, line, function in frames:
            cell = shell.compile.format_code_name(file)
            place = cell[1] if cell else name(file)
            if place:
                places.append((place, line, "" if function == "<module>" else function))
        return {"error": f"{type(error).__name__}: {error}".removesuffix(": "), "frames": places}

    def after_cell(result: Any) -> None:
        imported = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        reads = {name(path) for path in opened.union(filter(None, imported))} - {None}
        error = result.error_before_exec or result.error_in_exec
        notes = {
            "reads": sorted(reads),
            "megabytes": megabytes(),
            "failure": failure(error) if error else None,
        }
        report.write_text(json.dumps(notes), encoding="utf-8")

    shell.events.register("post_run_cell", after_cell)
    sys.addaudithook(on_event)

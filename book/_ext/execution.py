"""Run the chapters: each again when, and only when, something that it depends on has changed.

What a run depends on is known in two parts. Its *recipe* is what can be known beforehand: the code
cells, the interpreter and matplotlib's version. Which files of the project it *reads*, modules and
data alike, is noted by the kernel itself while it runs (``witness.py``), so a chapter declares
nothing. The outputs are kept in ``_build/executed`` under the digests of both, and are used for as
long as neither has changed.

Before Sphinx reads the chapters, all those without outputs run side by side, the longest first;
then ``read_executed`` hands each notebook to myst-nb with its outputs in place. Nothing is kept of
a run that failed, so it fails again next time.

A limit: a chapter that lists a folder is not run again when a file is added to that folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

HERE = Path(__file__).resolve().parent
FORMAT = 2  # of the kept outputs; a higher number makes every chapter run again
TAGS_OF_A_RUN = {"raises-exception", "skip-execution"}  # all others only change how a cell is shown
DAYS_KEPT = 30

# ipykernel 7 announces its TCP port on every start; errors still come through.
PROFILE = f"""
import sys
sys.path.append({str(HERE)!r})
c = get_config()
c.IPKernelApp.log_level = 40
c.HistoryManager.enabled = False
c.InteractiveShellApp.extensions = ["witness"]
"""


class Chapter(NamedTuple):
    docname: str
    path: Path
    notebook: NotebookNode
    recipe: str


class ChapterFailed(Exception):
    """A cell failed; the message names the place in the chapter."""


def recipe(notebook: NotebookNode) -> str:
    """Digest of all that a run depends on and that is known before it."""
    cells = [
        (cell.source, sorted(TAGS_OF_A_RUN & set(cell.metadata.get("tags", []))))
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    python = (sys.implementation.name, *sys.version_info[:2])
    return _digest(repr((FORMAT, python, version("matplotlib"), cells)).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]


class Store:
    """The outputs of past runs: a JSON file each, named by the recipe and by what was read."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder, root
        self._digests: dict[str, str | None] = {}

    def find(self, recipe: str) -> Path | None:
        """The kept run of this recipe whose files are all as they were then, if there is one."""
        for path in self.folder.glob(f"{recipe}-*.json"):
            reads = json.loads(path.read_text(encoding="utf-8"))["reads"]
            if all(self._file_digest(name) == digest for name, digest in reads.items()):
                return path
        return None

    def keep(self, recipe: str, reads: list[str], run: dict[str, Any]) -> Path:
        """Write a finished run, whole or not at all."""
        digests = {name: self._file_digest(name) for name in reads}
        path = self.folder / f"{recipe}-{_digest(repr(digests).encode())}.json"
        unfinished = path.with_suffix(".unfinished")
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps({"reads": digests, **run}), encoding="utf-8")
        unfinished.replace(path)
        return path

    def seconds(self) -> dict[str, float]:
        """How long each chapter took when it last ran."""
        try:
            return json.loads((self.folder / "seconds").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def keep_seconds(self, seconds: dict[str, float]) -> None:
        (self.folder / "seconds").write_text(json.dumps(seconds, indent=1), encoding="utf-8")

    def sweep(self, used: set[Path]) -> None:
        """Mark the runs in use, and drop those that no build has used for a month."""
        for path in used:
            path.touch()
        for path in self.folder.glob("*.json"):
            if path.stat().st_mtime < time.time() - DAYS_KEPT * 86400:
                path.unlink()

    def _file_digest(self, name: str) -> str | None:
        if name not in self._digests:
            path = self.root / name
            self._digests[name] = _digest(path.read_bytes()) if path.is_file() else None
        return self._digests[name]


# --- One run ---------------------------------------------------------------------------------


def execute(
    chapter: Chapter, root: Path, timeout: int, kernels: list[NotebookClient]
) -> dict[str, Any]:
    """Run the cells in a fresh kernel; what it read and its outputs, or ChapterFailed."""
    notebook = chapter.notebook
    started, running = time.perf_counter(), 0

    def on_cell(cell: NotebookNode, cell_index: int) -> None:
        nonlocal running
        running = cell_index

    with TemporaryDirectory(prefix="policywerk-", ignore_cleanup_errors=True) as folder:
        report, profile = Path(folder, "report.json"), Path(folder, "ipython", "profile_default")
        profile.mkdir(parents=True)
        profile.joinpath("ipython_kernel_config.py").write_text(PROFILE, encoding="utf-8")
        workplace = Path(folder, "work")
        workplace.mkdir()
        client = NotebookClient(
            notebook,
            timeout=allowance(notebook, timeout),
            resources={"metadata": {"path": str(workplace)}},
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            shutdown_kernel="immediate",
            on_cell_execute=on_cell,
            log=_silent(),
        )
        kernels.append(client)
        try:
            client.execute(env=_environment(root, profile.parent, report))
        except CellExecutionError:
            failure = json.loads(report.read_text(encoding="utf-8"))["failure"]
            raise ChapterFailed(_explain(chapter, root, running, failure)) from None
        except CellTimeoutError:
            raise ChapterFailed(
                f"{_cell(chapter, running)}: this cell was stopped after {client.timeout} s; make"
                " it quicker, or allow the chapter more in its front matter:"
                " mystnb: {execution_timeout: SECONDS}"
            ) from None
        except DeadKernelError:
            raise ChapterFailed(
                f"{_cell(chapter, running)}: the interpreter died in this cell; it may have run out"
                " of memory, or been killed"
            ) from None
        finally:
            kernels.remove(client)
        noted = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {
        "reads": noted.get("reads", []),
        "megabytes": noted.get("megabytes"),
        "seconds": round(time.perf_counter() - started, 2),
        "language": notebook.metadata.language_info,
        "cells": [[cell.execution_count, cell.outputs] for cell in code],
    }


def allowance(notebook: NotebookNode, timeout: int) -> int:
    """The seconds that a cell of this chapter may take."""
    return notebook.metadata.get("mystnb", {}).get("execution_timeout", timeout)


def _environment(root: Path, ipython: Path, report: Path) -> dict[str, str]:
    one_thread = dict.fromkeys(
        ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"],
        "1",
    )
    return {
        **os.environ,
        **one_thread,
        "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root / "book")]),
        "PYTHONHASHSEED": "0",
        "IPYTHONDIR": str(ipython),
        "POLICYWERK_ROOT": os.path.realpath(root),
        "POLICYWERK_REPORT": str(report),
    }


def _silent() -> logging.Logger:
    """nbclient logs what it then raises; the raised error is reported, once."""
    logger = logging.getLogger("policywerk.nbclient")
    logger.setLevel(logging.CRITICAL + 1)
    return logger


# --- Naming the place of a failure -----------------------------------------------------------


def _first_line(chapter: Chapter, index: int) -> int:
    """The chapter's line, from 1, on which the source of a cell begins, below its options."""
    lines = chapter.path.read_text(encoding="utf-8").splitlines()
    source = chapter.notebook.cells[index].source.splitlines()
    start = chapter.notebook.metadata.source_map[index]
    for row in range(start, len(lines)):
        if lines[row : row + len(source)] == source:
            return row + 1
    return start + 1


def _cell(chapter: Chapter, index: int) -> str:
    return f"{chapter.docname}.md:{_first_line(chapter, index)}"


def _explain(chapter: Chapter, root: Path, index: int, failure: dict[str, Any]) -> str:
    ran = [
        number
        for number, cell in enumerate(chapter.notebook.cells)
        if cell.cell_type == "code"
        and cell.source.strip()
        and "skip-execution" not in cell.metadata.get("tags", [])
    ]
    message = [f"{_cell(chapter, index)}: this cell raises {failure['error']}"]
    for file, line, function in failure["frames"]:
        if cell := re.fullmatch(r"In\[(\d+)\]", file):
            number = ran[int(cell[1]) - 1]
            source = chapter.notebook.cells[number].source.splitlines()
            place, text = (
                f"{chapter.docname}.md:{_first_line(chapter, number) + line - 1}",
                source[line - 1],
            )
        else:
            place, text = _listing(root, file, line)
        message.append(f"  {place}{f', in {function}' if function else ''}\n      {text.strip()}")
    return "\n".join(message)


def _listing(root: Path, file: str, line: int) -> tuple[str, str]:
    """Where a line of the project was written, in its chapter if it was tangled, and its text."""
    import tangle

    text = (root / file).read_text(encoding="utf-8").splitlines()[line - 1]
    tangled = tangle.load(root).files.get(file.removeprefix("src/"), [])
    if line <= len(tangled) and tangled[line - 1].text.strip() == text.strip():
        origin = tangled[line - 1]
        return f"{origin.chapter}:{origin.row} ({file}:{line})", text
    return f"{file}:{line}", text


# --- All runs, side by side ------------------------------------------------------------------


def execute_all(cold: list[Chapter], root: Path, timeout: int, store: Store) -> dict[str, Path]:
    """Run chapters on all cores, the longest first; where each run is kept, or SystemExit.

    One that has never run here is taken to be as long as it asks to be allowed.
    """
    for package in ("src", "book"):  # a module edited twice in a second can have a stale .pyc
        for cache in (root / package).rglob("__pycache__"):
            shutil.rmtree(cache, ignore_errors=True)
    seconds = store.seconds()
    expected = {each.docname: allowance(each.notebook, timeout) for each in cold} | seconds
    cold = sorted(cold, key=lambda chapter: -expected[chapter.docname])
    kept: dict[str, Path] = {}
    failures: list[str] = []
    kernels: list[NotebookClient] = []
    with ThreadPoolExecutor(_cores()) as pool:
        jobs = {pool.submit(execute, chapter, root, timeout, kernels): chapter for chapter in cold}
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                chapter = jobs[job]
                try:
                    run = job.result()
                except ChapterFailed as failure:
                    failures.append(str(failure))
                    continue
                kept[chapter.docname] = store.keep(chapter.recipe, run.pop("reads"), run)
                seconds[chapter.docname] = run["seconds"]
                store.keep_seconds(seconds)
                count = f"{done} of {len(cold)}, {len(cold) - done} left"
                cost = f"{run['seconds']:.1f} s, {run['megabytes'] or '?'} MB"
                print(
                    f"executed {chapter.docname} in {cost} ({count})",
                    file=sys.stderr,
                    flush=True,
                )
        except BaseException:
            _stop(list(jobs), kernels)
            raise
    if failures:
        raise SystemExit("\n".join(failures))
    return kept


def _stop(jobs: list[Any], kernels: list[NotebookClient]) -> None:
    """Leave no kernel behind: a job whose kernel is dead ends by itself."""
    for job in jobs:
        job.cancel()
    while wait(jobs, timeout=0.1).not_done:
        for client in list(kernels):
            process = getattr(getattr(client.km, "provisioner", None), "process", None)
            if process is not None:
                process.kill()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- Sphinx ----------------------------------------------------------------------------------


def read_executed(text: str, *, config: Any, path: str, run: str) -> NotebookNode:
    """The reader that myst-nb uses for an executed chapter: the notebook with its outputs."""
    notebook = read_myst_markdown_notebook(text, config=config, add_source_map=True, path=path)
    kept = json.loads(Path(run).read_text(encoding="utf-8"))
    notebook.metadata["language_info"] = NotebookNode(kept["language"])
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell, (count, outputs) in zip(code, kept["cells"], strict=True):
        cell.execution_count = count
        cell.outputs = [_node(output) for output in outputs]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # nbformat makes random ones, and the download should not change
    return notebook


def _node(value: Any) -> Any:
    if isinstance(value, dict):
        return NotebookNode({key: _node(item) for key, item in value.items()})
    return [_node(item) for item in value] if isinstance(value, list) else value


def chapter_of(env: BuildEnvironment, docname: str) -> Chapter | None:
    """The chapter, if the document is a notebook with code cells."""
    path = Path(env.doc2path(docname))
    text = path.read_text(encoding="utf-8") if path.suffix == ".md" else ""
    if not is_myst_markdown_notebook(text):
        return None
    notebook = read_myst_markdown_notebook(
        text, config=env.myst_config, add_source_map=True, path=str(path)
    )
    if not any(cell.cell_type == "code" for cell in notebook.cells):
        return None
    return Chapter(docname, path, notebook, recipe(notebook))


def find_outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """The chapters whose page was made from another run than the one that now holds."""
    store = Store(Path(app.outdir).parent / "executed", Path(app.srcdir))
    chapters = {name: chapter_of(env, name) for name in sorted(env.found_docs)}
    runs = {name: store.find(chapter.recipe) for name, chapter in chapters.items() if chapter}
    env.execution = chapters, runs, store  # type: ignore[attr-defined]
    read_from = getattr(env, "executed", {})
    return [name for name, run in runs.items() if run is None or read_from.get(name) != run.name]


def execute_cold(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Run what has to run, and tell myst-nb where the outputs are."""
    chapters, runs, store = env.__dict__.pop("execution")
    cold = [chapters[name] for name, run in runs.items() if run is None]
    if cold:
        runs |= execute_all(cold, Path(app.srcdir), app.config.nb_execution_timeout, store)
    store.sweep(set(runs.values()))
    env.executed = {name: run.name for name, run in runs.items()}  # type: ignore[attr-defined]
    formats = {
        str(chapters[name].path): (
            "execution.read_executed",
            {"config": env.myst_config, "path": str(chapters[name].path), "run": str(runs[name])},
        )
        for name in set(docnames) & runs.keys()
    }
    env.mystnb_config = env.mystnb_config.copy(custom_formats=formats)


def own_the_execution(app: Sphinx, config: Config) -> None:
    config.nb_execution_mode = "off"


def setup(app: Sphinx) -> dict[str, Any]:
    if str(HERE.parents[1]) not in sys.path:
        sys.path.append(str(HERE.parents[1]))  # for tangle.py
    app.connect("config-inited", own_the_execution)
    app.connect("env-get-outdated", find_outdated)
    app.connect("env-before-read-docs", execute_cold)
    return {"version": str(FORMAT), "parallel_read_safe": True, "parallel_write_safe": True}

"""Where results are kept, and whether they are still those of the code as it stands.

The results of an experiment are in `NAME-DIGEST.jsonl`, a line for each seed. The digest is that of
the code which the experiment runs: its own module, all of `policywerk` that this imports, and its
settings. What does not change a result (comments, docstrings, layout) does not change the digest.
"""

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent


class Evidence(NamedTuple):
    """What an experiment gave at each seed; stale if its code has changed since."""

    name: str
    results: list[dict]
    stale: bool

    def __len__(self) -> int:
        return len(self.results)

    def of(self, key: str) -> list:
        """One entry of every result."""
        return [result[key] for result in self.results]


def evidence(name: str, module: str) -> Evidence:
    """The stored results of an experiment; those of older code only if there are no others."""
    current = path_of(name, module)
    try:
        text, stale = current.read_text(encoding="utf-8"), False
    except FileNotFoundError:
        older = sorted(others(current), key=lambda path: path.stat().st_size)
        if not older:
            raise FileNotFoundError(f"no results of {name}; run: make evidence") from None
        text, stale = older[-1].read_text(encoding="utf-8"), True
    lines = [json.loads(line) for line in text.splitlines()]
    results = [line["result"] for line in sorted(lines, key=lambda line: line["seed"])]
    return Evidence(name, results, stale)


def others(current: Path) -> list[Path]:
    """The files of the same experiment from other states of the code."""
    return [
        path
        for path in current.parent.glob("*.jsonl")
        if path.stem.rpartition("-")[0] == current.stem.rpartition("-")[0] and path != current
    ]


def path_of(name: str, module: str) -> Path:
    """The file of an experiment, by the code as it is now."""
    return FOLDER / f"{name}-{digest_of(name, module)}.jsonl"


# --- The digest of the code ------------------------------------------------------------------


def digest_of(name: str, module: str) -> str:
    """Digest of all code that an experiment runs, and of its settings."""
    own = _tree(module)
    table = next(
        node.value for node in own.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "EXPERIMENTS"
    )  # fmt: skip
    settings = next(
        value for key, value in zip(table.keys, table.values, strict=True) if key.value == name
    )
    return _digest((_skeleton(settings), [(name, _code(name)) for name in _closure(module)]))


def _closure(module: str) -> list[str]:
    """The module and every one of the project's that it imports, directly or not."""
    met, waiting = {module}, [module]
    while waiting:
        for name in _imported(_tree(waiting.pop())):
            if name not in met:
                met.add(name)
                waiting.append(name)
    return sorted(met)


def _imported(tree: ast.Module) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("policywerk."):
            yield node.module


@cache
def _tree(module: str) -> ast.Module:
    spec = find_spec(module)
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


@cache
def _code(module: str) -> str:
    """A module's code without the table of experiments, each of which counts for itself."""
    kept = [
        node for node in _tree(module).body
        if not (isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "EXPERIMENTS")
    ]  # fmt: skip
    return _digest(_skeleton(kept))


def _skeleton(node: object) -> object:
    """Code as nested tuples, without docstrings, places, and what differs between Pythons."""
    if isinstance(node, list):
        return tuple(_skeleton(part) for part in node if not _says_nothing(part))
    if not isinstance(node, ast.AST):
        return node
    fields = ((field, _skeleton(value)) for field, value in ast.iter_fields(node))
    return type(node).__name__, *(pair for pair in fields if pair[1] not in ((), None))


def _says_nothing(node: object) -> bool:
    """Whether a statement is a string by itself, as a docstring is."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _digest(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]

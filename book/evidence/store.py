"""Where results are kept, and whether they are still those of the code as it stands.

The results of an experiment are in `NAME-DIGEST.jsonl`, a line for each seed. The digest is that of
its settings and of the code behind them: of every function, class and constant that is mentioned,
in the experiment's module and in `policywerk`, and of what these mention in turn. What changes no
result changes no digest: comments, docstrings, layout, messages of errors, code that is not used.
"""

import ast
import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
MODULES = ("evidence.dqn", "evidence.ppo", "evidence.dreamer")  # where experiments are


class Evidence(NamedTuple):
    """What an experiment gave at each seed; stale if its code has changed since."""

    name: str
    results: list[dict]
    stale: bool

    def of(self, key: str) -> list:
        """One entry of every result."""
        return [result[key] for result in self.results]


class Sources:
    """Shown on a page: where results come from, and loudly, if their code has changed since."""

    def __init__(self, *shown: Evidence) -> None:
        self.counts = ", ".join(f"{each.name} ({len(each.results)})" for each in shown)
        self.stale = ", ".join(each.name for each in shown if each.stale)

    def __repr__(self) -> str:
        text = f"Stored results, made by make evidence (number of seeds): {self.counts}."
        return text + (f" STALE, made by other code than this: {self.stale}." if self.stale else "")

    def _repr_html_(self) -> str:
        html = f"<p>Stored results, made by make evidence (number of seeds): {self.counts}.</p>"
        if self.stale:
            html += '<div class="admonition warning"><p class="admonition-title">Stale</p>'
            html += f"<p>Made by other code than this: {self.stale}.</p></div>"
        return html


def evidence(name: str, module: str) -> Evidence:
    """The stored results of an experiment; of other code, if there are no better ones; or none."""
    current = path_of(name, module)
    try:
        text, stale = current.read_text(encoding="utf-8"), False
    except FileNotFoundError:
        older = sorted(others(current), key=lambda path: path.stat().st_size)
        text, stale = (older[-1].read_text(encoding="utf-8"), True) if older else ("", False)
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


def outdated() -> list[str]:
    """The experiments that have no results from the code as it is now."""
    return [
        name
        for module in MODULES
        for name in experiments(module)
        if not path_of(name, module).exists()
    ]


# --- The digest of the code ------------------------------------------------------------------


class Statement(NamedTuple):
    """A statement of a module: what it says, the names it mentions, and the module they are of."""

    skeleton: object
    mentions: set[str]
    module: str


@cache
def digest_of(name: str, module: str) -> str:
    """Digest of an experiment's settings and of all code that they lead to, name by name."""
    settings = experiments(module)[name]
    begin = Statement(_skeleton(settings), _mentioned(settings), module)
    met, waiting = {repr(begin)}, [begin]
    code = [repr(begin.skeleton)]
    while waiting:
        statement = waiting.pop()
        for mentioned in statement.mentions:
            for led_to in _statements(statement.module).get(mentioned, ()):
                if (key := repr(led_to)) not in met:
                    met.add(key)
                    waiting.append(led_to)
                    code.append(repr(led_to.skeleton))
    return hashlib.sha256("\n".join(sorted(code)).encode()).hexdigest()[:12]


def experiments(module: str) -> dict[str, ast.expr]:
    """The table of experiments in a module: the settings of each, as code."""
    table = next(node for node in _tree(module).body if _is_table(node)).value
    return {key.value: value for key, value in zip(table.keys, table.values, strict=True)}


def _is_table(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "EXPERIMENTS"


@cache
def _statements(module: str) -> dict[str, list[Statement]]:
    """The statements of a module, by the names that they bind."""
    found: dict[str, list[Statement]] = {}
    for node in _tree(module).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = getattr(node, "module", "")
            ours = origin.partition(".")[0] in ("policywerk", "evidence")
            for alias in node.names:
                imported = Statement((origin, alias.name), {alias.name} if ours else set(), origin)
                found.setdefault(alias.asname or alias.name, []).append(imported)
        elif not _is_table(node):
            statement = Statement(_skeleton(node), _mentioned(node), module)
            for name in _bound(node):
                found.setdefault(name, []).append(statement)
    return found


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    names = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
        elif isinstance(part, ast.FunctionDef):
            names.add(part.name)
        elif isinstance(part, ast.alias):
            names.add(part.asname or part.name)
    return names


def _mentioned(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(Path(find_spec(module).origin).read_text(encoding="utf-8"))


def _skeleton(node: object) -> object:
    """Code as nested tuples, without docstrings and places, the same for all Pythons."""
    if isinstance(node, list):
        return tuple(_skeleton(part) for part in node if not _says_nothing(part))
    if not isinstance(node, ast.AST):
        return node
    fields = ((field, _skeleton(value)) for field, value in ast.iter_fields(node))
    return type(node).__name__, *(pair for pair in fields if pair[1] not in ((), None))


def _says_nothing(node: object) -> bool:
    """Whether a statement is a docstring, or ends the run, and so changes no result."""
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or isinstance(node, ast.Raise)

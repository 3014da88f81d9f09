"""Run the experiments whose results are stored: make evidence

Seeds that are done are not run again, so it can be interrupted at any time. A few seeds of
everything come first, then more. The fastest Python that is found does the work, on all cores.
`python -m evidence --seeds 10 NAME...` runs some experiments only, and stops at fewer seeds.

With --confirm, nothing is added: where results are of other code, the seed that was quickest is run
again, and if it gives the same to the last digit, they are taken over as those of today's code.
"""

import argparse
import importlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from evidence.store import MODULES, others, path_of
from policywerk.data.trials import trials

PASSES = (4, 10)  # seeds of each experiment, before all of them
WORK = """
import time
from policywerk.primitives.vectors import dot
started = time.process_time()
for _ in range(20_000):
    dot([1.0] * 80, [0.5] * 80)
print(time.process_time() - started)
"""


def run(module: str, name: str, seed: int) -> dict:
    """One trial, with the Python it ran on and the seconds of computation it took."""
    function, settings = importlib.import_module(module).EXPERIMENTS[name]
    started = time.process_time()
    result = function(seed, **settings)
    seconds = round(time.process_time() - started, 1)
    return {**result, "python": platform.python_version(), "seconds": seconds}


def modules(chosen: list[str]) -> dict[str, str]:
    """The experiments that are chosen, or all of them, and where each is written."""
    tables = {name: importlib.import_module(name).EXPERIMENTS for name in MODULES}
    known = {name: module for module, table in tables.items() for name in table}
    if unknown := set(chosen) - set(known):
        raise SystemExit(f"no such experiment: {', '.join(unknown)}; there are {', '.join(known)}")
    return {name: known[name] for name in chosen or known}


def everything(experiments: dict[str, str], most: int) -> None:
    """Each experiment, pass by pass, to so many seeds."""
    with ProcessPoolExecutor() as executor:
        for seeds in [*(few for few in PASSES if few < most), most]:
            for name, module in experiments.items():
                path = path_of(name, module)
                experiment = partial(run, module, name)
                trials(experiment, range(seeds), executor, store=path, progress=partial(tell, name))
        for name, module in experiments.items():
            for older in others(path_of(name, module)):
                older.unlink()


def confirm(experiments: dict[str, str]) -> bool:
    """Take over results of other code where today's gives the same; whether all of it did."""
    waiting = {}
    with ProcessPoolExecutor() as executor:
        for name, module in experiments.items():
            path = path_of(name, module)
            if not path.exists() and (older := others(path)):
                fullest = max(older, key=lambda file: file.stat().st_size)
                trial = quickest(fullest)
                again = executor.submit(run, module, name, trial["seed"])
                waiting[name] = path, fullest, trial, again
        for name, (path, fullest, trial, again) in waiting.items():
            same = found(trial["result"]) == found(json.loads(json.dumps(again.result())))
            if same:
                fullest.rename(path)
            told = "the same; taken over" if same else "other results; they stay marked as stale"
            print(f"{name}, seed {trial['seed']}: {told}", flush=True)
    if not waiting:
        print("nothing to confirm: what is stored was made by today's code")
    return all(path.exists() for path, *_ in waiting.values())


def quickest(store: Path) -> dict:
    """The trial that took least time, of those made by this Python, if there are any."""
    records = [json.loads(line) for line in store.read_text(encoding="utf-8").splitlines()]
    ours = [x for x in records if x["result"]["python"] == platform.python_version()]
    return min(ours or records, key=lambda record: record["result"]["seconds"])


def found(result: dict) -> dict:
    """A result without what may differ from run to run."""
    return {key: value for key, value in result.items() if key not in ("python", "seconds")}


def tell(name: str, done: int, total: int) -> None:
    print(f"{time.strftime('%H:%M:%S')} {name}: {done} of {total} seeds", flush=True)


def fastest() -> str:
    """The Python, of those from 3.11 on that are found, which does a dot product soonest."""
    names = [f"python3.{minor}" for minor in range(11, 20)]
    found = {sys.executable, *filter(None, map(shutil.which, names))}
    versions = Path.home() / ".pyenv" / "versions"
    found |= {str(path) for name in names for path in versions.glob(f"*/bin/{name}")}
    times = {}
    for python in 3 * sorted(found):
        done = subprocess.run([python, "-c", WORK], capture_output=True, text=True)
        if done.returncode == 0:
            times[python] = min(float(done.stdout), times.get(python, math.inf))
    return min(times, key=times.__getitem__)


if __name__ == "__main__":
    if "EVIDENCE_PYTHON" not in os.environ:
        os.environ["EVIDENCE_PYTHON"] = python = fastest()
        os.execv(python, [python, "-m", "evidence", *sys.argv[1:]])
    print(f"with Python {platform.python_version()}", flush=True)
    parser = argparse.ArgumentParser(prog="python -m evidence", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="an experiment; all, if none")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="20 if not said")
    parser.add_argument("--confirm", action="store_true", help="take over results that still hold")
    options = parser.parse_args()
    if options.confirm:
        sys.exit(0 if confirm(modules(options.names)) else 1)
    everything(modules(options.names), options.seeds)

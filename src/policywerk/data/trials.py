# Tangled from book/concepts.md
"""One experiment at many seeds, on whatever machines there are."""

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, as_completed
from os import PathLike
from pathlib import Path
from typing import Any


def trials(
    experiment: Callable[[int], Any],
    seeds: Iterable[int],
    executor: Executor | None = None,
    *,
    store: str | PathLike[str] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[Any]:
    """What the experiment gives for each seed, in the order of the seeds.

    `store` names a file in which results are kept; seeds found there are not run.
    `progress` is told how many trials are done, and of how many.
    """
    seeds = list(seeds)
    if len(set(seeds)) < len(seeds):
        raise ValueError("seeds: one comes twice, and would count twice for one life")
    kept = Store(Path(store)) if store is not None else None
    results = {} if kept is None else kept.results()
    waiting = [seed for seed in seeds if seed not in results]
    tell = progress or (lambda done, total: None)
    done = len(seeds) - len(waiting)
    tell(done, len(seeds))
    for seed, result in run(experiment, waiting, executor):
        results[seed] = result if kept is None else kept.keep(seed, result)
        done += 1
        tell(done, len(seeds))
    return [results[seed] for seed in seeds]


def run(
    experiment: Callable[[int], Any], seeds: list[int], executor: Executor | None
) -> Iterator[tuple[int, Any]]:
    """Each seed with its result, as they become ready."""
    if executor is None:
        for seed in seeds:
            try:
                yield seed, experiment(seed)
            except Exception as error:
                error.add_note(f"in the trial with seed {seed}")
                raise
        return
    futures = {executor.submit(experiment, seed): seed for seed in seeds}
    failure: BaseException | None = None
    try:
        for future in as_completed(futures):
            if future.cancelled():
                continue
            wrong = future.exception()
            if wrong is None:
                yield futures[future], future.result()
            elif failure is None:
                failure = wrong
                failure.add_note(f"in the trial with seed {futures[future]}")
                for other in futures:
                    other.cancel()
    finally:
        for future in futures:
            future.cancel()
    if failure is not None:
        raise failure


BEGINNING = '{"seed": '  # of every line of a store


class Store:
    """Finished trials in a file, a line of JSON each."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def results(self) -> dict[int, Any]:
        """The results so far, by seed; a last line without an end is cut off."""
        text = self.path.read_text() if self.path.exists() else ""
        *whole, torn = text.split("\n")
        results = dict(self.read(line, row) for row, line in enumerate(whole, 1))
        if torn:
            if not torn.startswith(BEGINNING[: len(torn)]):
                raise self.foreign(len(whole) + 1)
            self.path.write_text("".join(line + "\n" for line in whole))
        return results

    def read(self, line: str, row: int) -> tuple[int, Any]:
        try:
            record = json.loads(line)
            return record["seed"], record["result"]
        except (ValueError, KeyError, TypeError):
            raise self.foreign(row) from None

    def foreign(self, row: int) -> ValueError:
        cure = "name another file as the store, or delete the line"
        return ValueError(f"{self.path}:{row}: not a finished trial; {cure}")

    def keep(self, seed: int, result: Any) -> Any:
        """Write a result down; it is handed back as it will be read."""
        line = json.dumps({"seed": seed, "result": result})
        with self.path.open("a") as file:
            file.write(line + "\n")
        return json.loads(line)["result"]

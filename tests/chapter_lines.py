"""A pytest plugin: a failure inside the package also names the chapter line it was written at."""

import traceback
from functools import cache
from pathlib import Path

import tangle

ROOT = Path(tangle.__file__).resolve().parent


@cache
def book() -> tangle.Book:
    return tangle.load(ROOT)


def pytest_exception_interact(call, report) -> None:
    error, places = call.excinfo.value, []
    while error:  # an error while tests are collected is the cause of pytest's own
        for frame, number in traceback.walk_tb(error.__traceback__):
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(ROOT / "src"):
                file = path.relative_to(ROOT / "src").as_posix()
                lines = tangle.on_this_side(ROOT, book(), file) if file in book().files else []
                places += [f"{line.chapter}:{line.row}: {line.text.strip()}"
                           for line in lines[number - 1:number] if line.row]
        error = error.__cause__
    if places:
        report.sections.append(("Written in the book at", "\n".join(places)))

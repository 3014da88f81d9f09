"""Whatever happens to a run: each file is whole, old or new, and the next run finishes."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from desk import Desk, listing

import tangle

FILES = 2


def chapter(n: int, text: str) -> str:
    return "".join(f"About {i}.\n" + listing(f"x{i} = {text!r}", f"file=p/{n}{i}.py")
                   for i in range(FILES))


def killed(desk: Desk, verb: str, after: float) -> bool:
    """Start a run and kill it; whether it was still at work."""
    code = ("import sys, time, pathlib, tangle; print('ready', flush=True); "
            f"sys.exit(tangle.{verb}(pathlib.Path(sys.argv[1])))")
    run = subprocess.Popen([sys.executable, "-c", code, desk.root], stdout=subprocess.PIPE,
                           env={**os.environ, "PYTHONPATH": str(Path(tangle.__file__).parent)})
    assert run.stdout
    run.stdout.readline()
    time.sleep(after)
    run.send_signal(signal.SIGKILL)
    run.stdout.close()
    return run.wait() == -signal.SIGKILL


class Stop(BaseException):
    """Stands for kill -9: nothing of the program gets to clean up after it."""


def stopping(monkeypatch, calls: list[str], at: int) -> None:
    """Let the run stop dead before the write that has this number."""
    def stop(real, name):
        def call(*arguments, **keywords):
            calls.append(name)
            if len(calls) == at + 1:
                raise Stop
            return real(*arguments, **keywords)
        return call

    for owner, name in [(tangle, "write"), (shutil, "rmtree"), (os, "replace"),
                        (Path, "unlink"), (os, "fsync")]:
        monkeypatch.setattr(owner, name, stop(getattr(owner, name), name))


def edit(desk: Desk) -> None:
    """Change both sides: each file of chapter one in src/, and chapter two."""
    for i in range(0, FILES, 2):
        path = desk.src(f"p/1{i}.py")
        path.write_text(path.read_text().replace("old", "new"))
    desk.write(two=chapter(2, "new").replace("About 1.", "About one."))


@pytest.mark.parametrize("verb", ["tangle", "stitch"])
def test_stopped_before_any_write_the_next_run_finishes(tmp_path, verb):
    at, done = 0, False
    while not done:
        desk = Desk(tmp_path / str(at), one=chapter(1, "old"), two=chapter(2, "old"),
                    three=listing("gone = 1", "file=p/deep/gone.py"))
        desk.good()
        if verb == "stitch":
            edit(desk)
        else:
            desk.write(one=chapter(1, "new"), two=chapter(2, "new"), three="Text.\n")
        before = desk.tree()
        calls: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            stopping(patch, calls, at)
            try:
                assert desk.run(verb).status == 0
                done = True
            except Stop:
                pass
        middle = desk.tree()
        desk.good(verb)
        after = desk.tree()
        assert not [name for name in after if name.endswith(".tmp")]
        for name, data in middle.items():
            if not name.endswith(".tmp"):
                assert data in (before.get(name), after.get(name))
        desk.good("check")
        assert ("p/deep/gone.py" in str(after)) == (verb == "stitch")
        assert b"'old'" not in after["src/p/10.py"]
        assert b"'new'" in after["src/p/21.py"]
        at += 1
    assert at > 15


def test_stopped_between_two_chapters_that_make_sense_only_together(desk, monkeypatch):
    desk.write(one=listing("x = 1"), two=listing("y = 2"))
    desk.good()
    edited = desk.read().replace("x = 1", "x = [1").replace("y = 2", "y := 2]")
    desk.src().write_text(edited.replace("[1", "[1,"))
    with monkeypatch.context() as patch:
        stopping(patch, [], 4)  # write, fsync and replace the first chapter, write the second
        with pytest.raises(Stop):
            desk.run("stitch")
    assert (desk.chapter("one").read_text(), desk.chapter("two").read_text()) == (
        listing("x = [1,"), listing("y = 2"))
    assert desk.run().status == 2  # the chapters are no Python now
    desk.good("stitch")
    desk.good("check")
    assert desk.chapter("two").read_text() == listing("y := 2]")


@pytest.mark.parametrize("verb", ["tangle", "stitch"])
@pytest.mark.parametrize("kills", [4, pytest.param(120, marks=pytest.mark.slow)])
def test_kill_9_at_any_moment(tmp_path, verb, kills):
    desk = Desk(tmp_path, one=chapter(1, "a"), two=chapter(2, "a"))
    desk.good()
    rng, hits, turn = random.Random(0), 0, 0
    while hits < kills:
        turn += 1
        if verb == "tangle":
            desk.write(one=chapter(1, f"t{turn}"), two=chapter(2, f"t{turn}"))
        else:
            for i in range(FILES):
                desk.src(f"p/1{i}.py").write_text(
                    f"# Tangled from book/one.md\n\nx{i} = 't{turn}'\n")
        before = desk.tree()
        hits += killed(desk, verb, rng.uniform(0, 0.05))
        middle = {name: data for name, data in desk.tree().items() if not name.endswith(".tmp")}
        desk.good(verb)
        after = desk.tree()
        assert not [name for name in after if name.endswith(".tmp")]
        assert all(data in (before[name], after[name]) for name, data in middle.items())
        desk.good("check")
        assert after["src/p/11.py"].endswith(f"'t{turn}'\n".encode())
        assert after["book/one.md"] == chapter(1, f"t{turn}").encode()


def test_what_is_edited_after_a_run_was_killed_is_not_overwritten(desk):
    desk.write(one=chapter(1, "old"))
    desk.good()
    desk.write(one=chapter(1, "new"))
    with pytest.MonkeyPatch.context() as patch:
        calls: list[str] = []
        stopping(patch, calls, 7)
        with pytest.raises(Stop):
            desk.run()
    edited = desk.read("p/11.py").replace("x1", "x1 = mine")
    desk.src("p/11.py").write_text(edited)
    assert desk.run().status == 1
    assert desk.read("p/11.py") == edited
    desk.run("stitch")
    assert desk.read("p/11.py").count("mine") == 1
    assert "mine" in desk.chapter().read_text() or desk.run("check").status == 1


def test_a_full_disk_gives_a_clear_error_and_loses_nothing(desk, monkeypatch):
    desk.write(one=chapter(1, "old"))
    desk.good()
    desk.write(one=chapter(1, "new"))
    before = desk.tree()
    with monkeypatch.context() as patch:
        def full(handle):
            raise OSError(errno.ENOSPC, "No space left on device")
        patch.setattr(os, "fsync", full)
        run = desk.run()
    assert run.status == 2
    assert "No space left on device" in run.err
    assert desk.tree() == before
    desk.good()
    assert "new" in desk.read("p/10.py")


def test_two_runs_at_once_do_not_mix(desk):
    desk.write(one=chapter(1, "old"))
    desk.good()
    command = [sys.executable, tangle.__file__, "--root", desk.root]
    for turn in range(2):
        desk.write(one=chapter(1, f"t{turn}"))
        with ThreadPoolExecutor(2) as pool:
            runs = list(pool.map(lambda _: subprocess.run(command, capture_output=True), range(2)))
        assert [run.returncode for run in runs] == [0, 0]
        assert sum(run.stdout.count(b"wrote") for run in runs) == FILES
        desk.good("check")


def test_a_save_between_reading_and_writing_is_not_overwritten(desk, monkeypatch):
    desk.write(one=listing("x = 1"))
    desk.good()
    desk.write(one=listing("x = 2"))
    real = tangle.history

    def late(*known):
        desk.src().write_text("saved = 1\n")
        return real(*known)

    monkeypatch.setattr(tangle, "history", late)
    run = desk.run()
    assert (run.status, run.err) == (
        1, "a file was saved meanwhile; nothing was written: run it again\n")
    assert desk.read() == "saved = 1\n"


def test_a_chapter_that_is_a_link_stays_one(desk):
    real = desk.root / "elsewhere.md"
    real.write_text(listing("x = 1"))
    desk.order("one")
    desk.chapter().symlink_to(real)
    desk.good()
    desk.src().write_text(desk.read().replace("x = 1", "x = 2"))
    desk.good("stitch")
    assert desk.chapter().is_symlink()
    assert real.read_text() == listing("x = 2")


def fragments(number: int, last: str) -> str:
    """A file of fragments, each in the one before."""
    codes = [f"<<f{i}>>" for i in range(1, number)] + [last]
    return listing("<<f0>>") + "".join(listing(code, f"name=f{i}") for i, code in enumerate(codes))


HARD = {
    "a long import": listing("from a import " + "b, " * 100_000 + "c"),
    "a long word": listing("from " + "a" * 400_000),
    "many fragments, one in another": fragments(3000, "x = 1"),
    "a long cycle": fragments(3000, "<<f0>>"),
    "many fragments": listing("\n".join(f"<<f{i}>>" for i in range(3000))) + "".join(
        listing("x = 1", f"name=f{i}") for i in range(3000)),
    "many fences": "````\n```\n````\n" * 50_000,
    "a long fence": "`" * 400_000 + "\n" + "~" * 400_000,
    "many colons": ":::\n" * 100_000,
    "many tags": "<a\n" * 100_000 + "\n<pre\n\n" * 50_000,
    "many comments": "<!--\n\n" * 100_000,
    "many points": "- " * 200_000 + "```\n" + "1." * 200_000,
    "many spaces": " " * 400_000 + "```\n" + listing("import a\n" + " " * 400_000 + "b"),
    "many attributes": "```python " + "file=a/" * 60_000 + "\n```\n",
}


@pytest.mark.parametrize("text", HARD.values(), ids=HARD)
def test_no_chapter_takes_long(desk, text):
    desk.write(one=text)
    start = time.perf_counter()
    desk.run()
    assert time.perf_counter() - start < 10


def test_a_megabyte_listing(desk):
    code = "\n".join(f"x = {i % 7}  # {'long ' * 12}" for i in range(15_000))
    desk.write(one=listing(code))
    desk.good()
    lines = desk.read().splitlines()
    lines[10_000] = "y = 1"
    desk.src().write_text("\n".join(lines) + "\n")
    start = time.perf_counter()
    desk.good("stitch")
    assert time.perf_counter() - start < 10
    assert desk.chapter().read_text().count("\ny = 1\n") == 1

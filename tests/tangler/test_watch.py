"""Saves are carried to the other side while both are worked on."""

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from desk import Desk, listing

import tangle

BOOK = "Text.\n\n" + listing("def f():\n    return 1") + "\nMore.\n"
PATIENCE = 15.0  # seconds; on a machine with nothing else to do it is a fifth of one


class Watch:
    """`tangle.py watch` at work on a desk."""
    def __init__(self, desk: Desk):
        self.desk, self.log = desk, desk.root / "log"
        with open(self.log, "w") as out:
            self.run = subprocess.Popen([sys.executable, tangle.__file__, "watch", "--root",
                                         desk.root], stdout=out, stderr=subprocess.STDOUT)

    def until(self, what) -> float:
        """Wait until this holds; the seconds it took."""
        start = time.perf_counter()
        while not what():
            assert time.perf_counter() - start < PATIENCE, self.log.read_text()
            assert self.run.poll() is None, self.log.read_text()
            time.sleep(0.01)
        return time.perf_counter() - start

    def until_said(self, text: str) -> float:
        return self.until(lambda: text in self.log.read_text())


@pytest.fixture
def watch(desk):
    desk.write(one=BOOK)
    watch = Watch(desk)
    watch.until(desk.src().exists)
    yield watch
    watch.run.kill()
    watch.run.wait()


def test_saves_go_both_ways(desk, watch):
    desk.write(one=BOOK.replace("return 1", "return 2"))
    watch.until(lambda: "return 2" in desk.read())
    desk.src().write_text(desk.read().replace("return 2", "return 3"))
    watch.until(lambda: desk.chapter().read_text() == BOOK.replace("return 1", "return 3"))
    watch.until_said("wrote book/one.md")


def test_an_error_is_shown_and_the_last_good_state_stays(desk, watch):
    good = desk.read()
    desk.write(one=BOOK.replace("More.", "```python file=p/b.py\nhalf"))
    watch.until_said("book/one.md:8: this fence is never closed")
    assert desk.read() == good
    desk.write(one=BOOK.replace("return 1", "return"))
    watch.until(lambda: desk.read() == good.replace("return 1", "return"))
    desk.src().write_text(good.replace("return 1", "return ="))
    watch.until_said("src/p/a.py:5: not valid Python")
    assert desk.chapter().read_text() == BOOK.replace("return 1", "return")
    desk.src().write_text(good.replace("return 1", "return 4"))
    watch.until(lambda: desk.chapter().read_text() == BOOK.replace("return 1", "return 4"))


def test_bursts_temporary_files_and_deleted_files_are_survived(desk, watch):
    for i in range(30):
        desk.write(one=BOOK.replace("return 1", f"return {i}"))
        (desk.root / f"book/.one.md.{i}.swp").write_text(listing("x = ="))
        desk.src(f".a.py.{i}.tmp").write_text("=")
    desk.src(".#a.py").symlink_to("nobody@nowhere")
    watch.until(lambda: "return 29" in desk.read())
    desk.src().unlink()
    watch.until(desk.src().exists)
    text = desk.chapter().read_text()
    desk.chapter().unlink()
    watch.until_said("book/one.md is not there")
    assert "return 29" in desk.read()
    new = desk.root / "book/new"
    new.write_text(text.replace("29", "30"))
    os.replace(new, desk.chapter())
    watch.until(lambda: "return 30" in desk.read())


def test_a_file_being_written_is_not_taken_for_finished(desk, watch):
    """An editor may cut a file to nothing before it writes it anew."""
    text = desk.read()
    with open(desk.src(), "w") as file:
        file.flush()
        watch.until_said("gives this back")
        file.write(text.replace("return 1", "return 5"))
    watch.until(lambda: desk.chapter().read_text() == BOOK.replace("return 1", "return 5"))


def test_a_failing_test_names_the_chapter_line(tmp_path):
    text = "Text.\n\n" + listing("def f(x):\n    <<divide>>", "file=policywerk/a.py")
    desk = Desk(tmp_path, one=text + "\n" + listing("return 1 / x", "name=divide"))
    here = Path(tangle.__file__).parent
    (tmp_path / "tangle.py").write_bytes(Path(tangle.__file__).read_bytes())
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "chapter_lines.py"):
        (tmp_path / "tests" / name).write_bytes((here / "tests" / name).read_bytes())
    (tmp_path / "tests/test_a.py").write_text(
        "from policywerk.a import f\n\n\ndef test_f():\n    f(0)\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = src .\n")
    desk.good()

    def fail() -> str:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True,
                             env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
        assert run.returncode in (1, 2)
        return run.stdout

    out = fail()
    assert "Written in the book at" in out
    assert "\nbook/one.md:9: return 1 / x\n" in out
    desk.src("policywerk/a.py").write_text(  # edited, and failing while tests are collected
        "# edited\n" + desk.read("policywerk/a.py") + "\n\nf(0)\n")
    assert "\nbook/one.md:9: return 1 / x\n" in fail()


def test_an_open_page_hears_of_each_build(tmp_path):
    desk = Desk(tmp_path, one=BOOK)
    here = Path(tangle.__file__).parent
    for name in ("tangle.py", "live.py"):
        (tmp_path / name).write_bytes((here / name).read_bytes())
    site = tmp_path / "_build/html"
    site.mkdir(parents=True)
    page = site / "index.html"
    build = (f"import pathlib; text = pathlib.Path({str(desk.chapter())!r}).read_text(); "
             f"pathlib.Path({str(page)!r}).write_text('<body>' + text + '</body>')")
    with subprocess.Popen([sys.executable, tmp_path / "live.py", "0", sys.executable, "-c", build],
                          stdout=subprocess.PIPE, text=True) as run:
        try:
            address = run.stdout.readline().split()[4].rstrip(",")
            assert address.startswith("http://127.0.0.1:")
            while not page.exists():
                time.sleep(0.01)
            with urllib.request.urlopen(f"{address}-/built", timeout=PATIENCE) as news:
                desk.write(one=BOOK.replace("Text.", "New text."))
                while news.readline() != b"data: built\n" or "New" not in page.read_text():
                    pass
            served = urllib.request.urlopen(address, timeout=PATIENCE).read().decode()
            assert served.startswith("<body>New text.")
            assert "location.reload()</script></body>" in served
            assert "script" not in page.read_text()
        finally:
            run.kill()

"""A small book on a desk: chapters to write, verbs to run, files to look at."""

import contextlib
import io
import subprocess
from pathlib import Path
from typing import NamedTuple

import tangle

TICKS = "```"


class Run(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return (self.out + self.err).splitlines()


def listing(code: str, info: str = "file=p/a.py", ticks: str = TICKS) -> str:
    return f"{ticks}python {info}\n{code}\n{ticks}\n"


class Desk:
    """A folder with `_toc.yml`, `book/` and `src/`, and the verbs of tangle.py on it."""

    def __init__(self, root: Path, **chapters: str | bytes):
        self.root = root
        self.names: list[str] = []
        (root / "book").mkdir(parents=True, exist_ok=True)
        if chapters or not (root / "_toc.yml").exists():
            self.write(**chapters)

    def write(self, **chapters: str | bytes) -> None:
        """Write these chapters; new ones are read last."""
        for name, text in chapters.items():
            data = text if isinstance(text, bytes) else text.encode()
            (self.root / f"book/{name}.md").write_bytes(data)
        self.order(*dict.fromkeys([*self.names, *chapters]))

    def order(self, *names: str) -> None:
        self.names = list(names)
        files = "".join(f"- file: book/{name}\n" for name in names)
        (self.root / "_toc.yml").write_text(f"format: jb-book\nchapters:\n{files}")

    def run(self, *arguments: str) -> Run:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = tangle.main([*arguments, "--root", str(self.root)])
            except SystemExit as end:  # argparse
                status = int(end.code or 0)
        return Run(status, out.getvalue(), err.getvalue())

    def good(self, *arguments: str) -> Run:
        run = self.run(*arguments)
        assert run.status == 0, run
        return run

    def src(self, file: str = "p/a.py") -> Path:
        return self.root / "src" / file

    def read(self, file: str = "p/a.py") -> str:
        return self.src(file).read_text()

    def body(self, file: str = "p/a.py") -> str:
        """The file below its first line, which names the chapters."""
        return self.read(file).partition("\n")[2].lstrip("\n")

    def chapter(self, name: str = "one") -> Path:
        return self.root / f"book/{name}.md"

    def tree(self) -> dict[str, bytes]:
        """Every file of the book and of src/, byte for byte."""
        paths = [path for top in ("book", "src") for path in (self.root / top).rglob("*")]
        return {path.relative_to(self.root).as_posix(): path.read_bytes()
                for path in paths if path.is_file() and path.suffix != ".pyc"}

    def git(self, *arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", "-C", self.root, *who, *arguments], check=True, capture_output=True)

    def commit(self) -> None:
        if not (self.root / ".git").exists():
            self.git("init", "-q", "-b", "main")
            (self.root / ".gitignore").write_text(".tangle/\n__pycache__/\n")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "as it is")

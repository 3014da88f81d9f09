"""Edit a chapter or src/, and the open page follows: carries saves, builds, and reloads.

    python live.py PORT COMMAND...    serve _build/html, built by this command, on this machine

The pages on disk stay as they are built: the script that reloads one is added as it is served.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import tangle

ROOT = Path(__file__).resolve().parent
SITE = ROOT / "_build" / "html"
RELOAD = b"<script>new EventSource('/-/built').onmessage = () => location.reload()</script></body>"
WATCHED = ("book/**/*", "src/**/*.py", "_config.yml", "_toc.yml")


class Builds:
    """How often the site was built, and a bell that rings when it was built again."""
    def __init__(self) -> None:
        self.number, self.bell = 0, threading.Condition()

    def done(self) -> None:
        with self.bell:
            self.number += 1
            self.bell.notify_all()


class Pages(SimpleHTTPRequestHandler):
    """The site's files; a page also listens at /-/built, and loads itself again."""
    def __init__(self, builds: Builds, *arguments) -> None:
        self.builds = builds
        super().__init__(*arguments, directory=str(SITE))

    def do_GET(self) -> None:
        if self.path == "/-/built":
            self.tell()
        else:
            super().do_GET()

    def tell(self) -> None:
        """Send an event at each build, until the page is closed."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        seen = self.builds.number
        while True:
            with self.builds.bell:
                if self.builds.number == seen:
                    self.builds.bell.wait(timeout=5)
                news, seen = self.builds.number != seen, self.builds.number
            try:
                self.wfile.write(b"data: built\n\n" if news else b": here\n\n")
            except OSError:  # the page is closed
                return

    def send_head(self):
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path /= "index.html"
        if path.suffix != ".html" or not path.is_file():
            return super().send_head()
        page = path.read_bytes().replace(b"</body>", RELOAD)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        return BytesIO(page)

    def log_message(self, *arguments) -> None:
        """Requests are not worth a line each."""


def stamps() -> dict[Path, int]:
    """When each file was changed that the site is made of."""
    found = (path for pattern in WATCHED for path in ROOT.glob(pattern))
    return {path: path.stat().st_mtime_ns for path in found
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".tmp"}


def build(command: list[str], builds: Builds) -> None:
    """Build whenever files have changed and are quiet; a failed build leaves the last site."""
    seen = built = None
    while True:
        try:
            now = stamps()
        except FileNotFoundError:  # saved by way of another file, just now
            continue
        if now == seen and now != built:
            built, start = now, time.perf_counter()
            if subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0:
                print(f"built in {time.perf_counter() - start:.1f} s", flush=True)
                builds.done()
        seen = now
        time.sleep(0.3)  # longer than a save takes to reach the other side


def main(port: str, *command: str) -> int:
    builds = Builds()
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), partial(Pages, builds))
    for work in (server.serve_forever, partial(build, list(command), builds)):
        threading.Thread(target=work, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    print(f"The book is at {address}, until you press Ctrl-C", flush=True)
    tangle.watch(ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Find Chromium for the tests of the site. As a command: install it where that is allowed.

`CHROMIUM` names one; otherwise the usual names are looked for. Nothing is downloaded but, as root
on a system with apt, its own package.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MISSING = (
    "The tests of the site need Chromium, and there is none here. Install your system's package"
    " (on Debian and Ubuntu: apt-get install chromium), or set CHROMIUM to the program's path."
)


def chromium() -> str | None:
    """Path of the browser, or None."""
    return next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), *NAMES))), None)


def install() -> None:
    """Install the system's package, which only root with apt may; otherwise do nothing."""
    if os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing chromium with apt-get", flush=True)
        quiet = {
            "stdout": subprocess.DEVNULL,
            "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        }
        subprocess.run(["apt-get", "update", "-q"], **quiet)
        subprocess.run(
            ["apt-get", "install", "-yq", "--no-install-recommends", "chromium"], **quiet
        )


if __name__ == "__main__":
    if not chromium():
        install()
    sys.exit(None if chromium() else MISSING)

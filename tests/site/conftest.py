"""One Chromium for all tests of the site."""

from collections.abc import Iterator
from typing import Any

import pytest
from browser import ARGUMENTS, MISSING, chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = chromium()
    assert program, MISSING
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()

# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages in Debian's chromium, as their readers open them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

CHROMIUM = shutil.which("chromium")


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser without a window. Skips the test where none is installed."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, url: str, *, width: int = 1440, scheme: str = "light") -> Iterator[tuple[Page, list[str]]]:
    """A page, and what its console said: errors, refused requests, dialogs. scheme: `light` or `dark`."""
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 900}
    )
    said: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: _refused(dialog, said))
    page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
    try:
        page.goto(url)
        yield page, said
    finally:
        context.close()


def _refused(dialog: Dialog, said: list[str]) -> None:
    said.append(f"dialog {dialog.message}")
    dialog.dismiss()


def violations(browser: Browser, url: str, *, width: int, scheme: str) -> list[str]:
    """What axe finds, one line each. The page's policy lets no foreign script in, so axe's is let past it."""
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 900}, bypass_csp=True
    )
    try:
        page = context.new_page()
        page.goto(url)
        found = Axe().run(page).response["violations"]
        return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"][:3]]
    finally:
        context.close()


def written(folder: Path, name: str, text: str) -> str:
    """The address of a page in a file."""
    path = folder / f"{name}.html"
    path.write_text(text)
    return path.as_uri()

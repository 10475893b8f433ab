# SPDX-License-Identifier: GPL-2.0-or-later
"""The page as a reader meets it: in a browser, wide and narrow, light and dark, with no, few and many tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from reviewbot.report import Record
from reviewbot.report.html import html_page
from tests.report.html.browser import browsing, opened, violations, written
from tests.report.records import RECORDS, compared, large, unapplied
from tests.report.test_injection import NASTY, broken_record, record_with, reviewed_record

SCREENS = [(width, scheme) for width in (360, 1440) for scheme in ("light", "dark")]
PAGES: dict[str, Callable[[], Record]] = {
    "no-tests": unapplied,
    "few-tests": compared,
    "many-tests": lambda: large(1500),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    return {name: written(folder, name, html_page(build())) for name, build in PAGES.items()}


def shown(page: Page) -> list[str]:
    """Names of the tests that the table shows, in its order."""
    names: list[str] = page.eval_on_selector_all(
        "#table tbody tr", "rows => rows.filter(r => r.offsetParent !== null).map(r => r.cells[0].textContent)"
    )
    return names


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width, scheme", SCREENS)
def test_a_page_opens_without_a_word_on_the_console_and_fits_the_screen(
    browser: Browser, pages: dict[str, str], name: str, width: int, scheme: str
) -> None:
    with opened(browser, pages[name], width=width, scheme=scheme) as (page, said):
        assert page.inner_text(".kind")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []


@pytest.mark.parametrize(
    "name, width, scheme",
    [*(("regression", *screen) for screen in SCREENS), ("counted", 360, "dark"), ("does-not-apply", 1440, "light"),
     ("review-errors", 1440, "dark")],
)  # fmt: skip
def test_axe_finds_nothing(browser: Browser, tmp_path: Path, name: str, width: int, scheme: str) -> None:
    url = written(tmp_path, name, html_page(RECORDS[name]()))
    assert violations(browser, url, width=width, scheme=scheme) == []


def test_axe_finds_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    url = written(tmp_path, "wrong", "<html><body><img src='data:,'><input></body></html>")
    assert {line.partition(":")[0] for line in violations(browser, url, width=360, scheme="light")} >= {
        "image-alt",
        "label",
        "html-has-lang",
    }


def test_a_long_table_begins_with_what_somebody_has_to_look_at(browser: Browser, pages: dict[str, str]) -> None:
    with opened(browser, pages["many-tests"]) as (page, _):
        looked = shown(page)
        assert 0 < len(looked) < 100
        assert page.inner_text("#shown") == f"{len(looked)} of 1500 tests"
        page.select_option("[name=show]", "all")
        assert len(shown(page)) == 1500


def test_filter_and_order_are_kept_in_the_address(browser: Browser, pages: dict[str, str]) -> None:
    with opened(browser, pages["few-tests"]) as (page, _):
        page.fill("[name=q]", "/^fstests/")
        page.select_option("[name=show]", "broken")
        page.select_option("[name=leg]", "fuse2fs")
        page.click("[data-sort=seconds] button")
        page.click("[data-sort=seconds] button")
        assert page.get_attribute("[data-sort=seconds]", "aria-sort") == "descending"
        before, address = shown(page), page.url
    assert before == ["fstests/generic/001", "fstests/generic/023"]
    with opened(browser, address) as (page, _):
        assert shown(page) == before
        assert page.input_value("[name=q]") == "/^fstests/"
        assert not page.is_visible("#table thead .l1"), "the columns of the other leg"
        page.click("[type=reset]")
        assert len(shown(page)) == 7 and "?" not in page.url


def test_a_link_to_a_failure_opens_it_and_keeps_the_filter(browser: Browser, pages: dict[str, str]) -> None:
    with opened(browser, pages["few-tests"]) as (page, _):
        page.select_option("[name=show]", "broken")
        page.click("#table a:text('CRASH')")
        assert page.is_visible("#others details[open] .evidence pre")
        address = page.url
    with opened(browser, address) as (page, _):
        assert page.is_visible("#others details[open] .evidence pre")
        assert page.input_value("[name=show]") == "broken"


@pytest.mark.parametrize("fragment", ["#%", "#?show=nothing&leg=none&sort=--x", "#gone?q=%2F(%2F", "#?q=" + "x" * 5000])
def test_any_address_shows_the_page(browser: Browser, pages: dict[str, str], fragment: str) -> None:
    with opened(browser, pages["few-tests"] + fragment) as (page, said):
        assert page.inner_text("#shown").endswith("of 7 tests")
    assert said == []


def test_without_scripts_everything_can_be_read(browser: Browser, pages: dict[str, str]) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(pages["many-tests"])
        assert page.locator("#table tbody tr").last.is_visible() and not page.is_visible("#filter")
    finally:
        context.close()


def test_words_of_strangers_run_nothing_and_load_nothing(browser: Browser, tmp_path: Path) -> None:
    evil = "".join(NASTY) + (
        "</title></style></script><script>alert(1)</script><img src=http://127.0.0.1:9/x onerror=alert(2)>"
        "\"onmouseover=alert(3) x='<svg/onload=alert(4)><iframe srcdoc='<script>alert(5)</script>'>javascript:alert(6)"
    )
    for number, build in enumerate((record_with, broken_record, reviewed_record)):
        with opened(browser, written(tmp_path, f"evil{number}", html_page(build(evil)))) as (page, said):
            assert page.locator("script").count() == 2
            assert page.locator("img, iframe, object, embed, form:not(#filter), base, link").count() == 0
        assert said == []

# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot site`: pages over all runs, with twins, as files for any web server."""

import functools
import http.server
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reviewbot.report import Record
from tests.report.html.browser import browsing, opened, violations
from tests.report.records import RECORDS
from tests.report.test_from_folder import left
from tests.user import User
from tests.web import serving

FIRST, SECOND, THIRD = "20261101-000000-0001", "20261102-000000-0002", "20261103-000000-0003"


def add(user: User, run: str, record: Record) -> Path:
    folder = user.folder / "data" / "runs" / run
    folder.parent.mkdir(parents=True, exist_ok=True)
    left(folder, record)
    return folder


@pytest.fixture
def runs(user: User) -> User:
    add(user, FIRST, RECORDS["pass"]())
    add(user, SECOND, RECORDS["regression"]())
    add(user, THIRD, RECORDS["review-errors"]())
    return user


def made(user: User, *words: str) -> Path:
    folder = user.folder / "site"
    done = user.call("site", str(folder), *words)
    assert done.returncode == 0, done.stderr
    return folder


def test_each_run_has_a_page_and_each_page_a_twin(runs: User) -> None:
    folder = made(runs)
    index = json.loads((folder / "index.json").read_text())
    assert [(one["run"], one["kind"]) for one in index] == [
        (THIRD, "BUILD-FAILS"),
        (SECOND, "REGRESSION"),
        (FIRST, "PASS"),
    ]
    page = (folder / "index.html").read_text()
    for one in index:
        assert f'href="runs/{one["run"]}/index.html"' in page
        twin = json.loads((folder / "runs" / one["run"] / "run.json").read_text())
        assert twin["run"] == one
    twin = json.loads((folder / "runs" / SECOND / "run.json").read_text())
    assert twin["tests"]["smoke/rename"] == ["PASS", "FAIL"] and twin["reasons"]["smoke/acl"] == "may not read"


def test_trends_show_the_last_outcomes_what_fails_most_first(runs: User) -> None:
    folder = made(runs)
    found = json.loads((folder / "trends" / "fuse2fs.json").read_text())
    assert found["runs"] == [FIRST, SECOND]
    strips = {one["test"]: (one["strip"], one["failed"], one["ran"], one["last"]) for one in found["trends"]}
    assert strips["smoke/rename"] == (".F", 1, 2, SECOND) and strips["smoke/acl"][0] == "KK"
    assert strips["smoke/fio"] == (" C", 1, 1, SECOND)
    rates = [one["failed"] / one["ran"] if one["ran"] else 0 for one in found["trends"]]
    assert rates == sorted(rates, reverse=True)
    assert '<code class="outcomes">.F</code>' in (folder / "trends" / "fuse2fs.html").read_text()


def test_only_what_changed_is_written_again_and_what_is_gone_is_removed(runs: User) -> None:
    folder = made(runs)
    page = folder / "runs" / FIRST / "index.html"
    written = page.stat().st_mtime_ns
    add(runs, "20261104-000000-0004", RECORDS["pass"]())
    removed = runs.folder / "data" / "runs" / SECOND
    removed.rename(runs.folder / "away")
    said = json.loads(runs.call("site", str(folder), "--json").stdout)
    assert (said["runs"], said["written"], said["removed"]) == (3, 1, 1)
    assert page.stat().st_mtime_ns == written and not (folder / "runs" / SECOND).exists()
    assert json.loads(runs.call("site", str(folder), "--json").stdout)["written"] == 0


def test_links_to_logs_go_where_the_logs_are_or_nowhere(runs: User) -> None:
    page = made(runs) / "runs" / SECOND / "index.html"
    assert 'href="logs/' not in page.read_text() and "logs/leg/smoke/rename" in page.read_text()
    made(runs, "--files", "https://ci.example.org/runs/{run}/")
    assert f'href="https://ci.example.org/runs/{SECOND}/logs/leg/smoke/rename"' in page.read_text()


def test_a_run_of_a_version_without_pages_gets_one(runs: User) -> None:
    (runs.folder / "data" / "runs" / SECOND / "report.html").unlink()
    assert "REGRESSION" in (made(runs) / "runs" / SECOND / "index.html").read_text()


def test_a_run_that_cannot_be_read_is_left_out_and_said(runs: User) -> None:
    broken = runs.folder / "data" / "runs" / SECOND
    (broken / "report.html").unlink()
    (broken / "results.json").write_text("[]")
    done = runs.call("site", str(runs.folder / "site"))
    assert done.returncode == 0 and f"run {SECOND} cannot be read" in done.stderr
    assert len(json.loads((runs.folder / "site" / "index.json").read_text())) == 2


@pytest.mark.parametrize("content", ["hello", "{}", "[]x"])
def test_a_folder_of_something_else_is_left_alone(runs: User, content: str) -> None:
    other = runs.folder / "other"
    other.mkdir()
    (other / "index.json").write_text(content)
    runs.refuses(2, "neither empty nor a reviewbot site", "site", str(other))
    assert [path.name for path in other.iterdir()] == ["index.json"]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    with serving(functools.partial(Quiet, directory=str(folder))) as url:
        yield url


def test_the_site_works_in_a_browser(runs: User) -> None:
    evil = RECORDS["pass"]()
    subject = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    posting = evil.posting.model_copy(update={"subject": subject})
    plan = evil.plan.model_copy(update={"posting": posting}) if evil.plan else None
    add(runs, "20261105-000000-0005", evil.model_copy(update={"posting": posting, "plan": plan}))
    with served(made(runs)) as url, browsing() as browser:
        for name in ("index.html", "trends/fuse2fs.html", "compare.html"):
            with opened(browser, f"{url}/{name}", width=360, scheme="dark") as (page, said):
                assert page.evaluate("document.documentElement.scrollWidth") <= 360
                assert [one for one in said if not one.startswith(url)] == []
            assert violations(browser, f"{url}/{name}", width=1440, scheme="light") == []
        with opened(browser, f"{url}/index.html#kind=REGRESSION") as (page, _):
            assert page.inner_text("form output") == "1 of 4"
            page.click(f"a:text('{SECOND}')")
            assert page.inner_text(".kind") == "REGRESSION"
        with opened(browser, f"{url}/compare.html#a={FIRST}&b={SECOND}") as (page, _):
            page.wait_for_selector("#differs tbody tr")
            assert page.inner_text("#said") == "PASS and REGRESSION: 8 outcomes differ."
            assert page.inner_text("#differs tbody tr:first-child").split("\t") == [
                "fuse2fs",
                "smoke/rename",
                "PASS",
                "FAIL",
                "fails now",
            ]
            page.select_option("[name=b]", FIRST)
            page.locator("#said", has_text="no outcome differs").wait_for()
            assert page.url.endswith(f"#a={FIRST}&b={FIRST}")

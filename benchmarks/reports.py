# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports of a large run, its page in a browser, and a site of many runs; each in a process of its own."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Figure, failed, measured_process
from reviewbot.report import html_page
from tests.report.html.browser import CHROMIUM, browsing, opened
from tests.report.records import RECORDS, large
from tests.report.test_from_folder import left

TESTS = 1500
RUNS = 500
TIMES = 3


def reports() -> Iterator[Figure]:
    """1,500 tests in five legs; 500 runs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from all_files()
        yield page(folder)
        yield from site(folder)


def all_files() -> Iterator[Figure]:
    """Making every file of a run's folder, interpreter and imports included."""
    script = (
        "from tests.report.records import large; from reviewbot.report import files, without_folders; "
        f"files(without_folders(large({TESTS}), ['/home/user']), {{}})"
    )
    runs = [measured_process([sys.executable, "-c", script]) for _ in range(TIMES)]
    what = f"all reports of {TESTS} tests in 5 legs"
    why_not = failed(status for status, _, _ in runs)
    yield Figure(what, () if why_not else tuple(seconds for _, seconds, _ in runs), 3.0, why_not)
    yield Figure(f"{what}, memory", () if why_not else tuple(size for _, _, size in runs), 300.0, why_not, "MB")


def page(folder: Path) -> Figure:
    """From asking for the page to its script having filtered it."""
    what = f"the page of {TESTS} tests in chromium until it can be used"
    if CHROMIUM is None:
        return Figure(what, (), 1.0, "chromium is not installed")
    path = folder / "page.html"
    path.write_text(html_page(large(TESTS)))
    timing = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd / 1000"
    with browsing() as browser:
        seconds = []
        for _ in range(TIMES):
            with opened(browser, path.as_uri()) as (shown, _):
                assert shown.inner_text("#shown").endswith(f"of {TESTS} tests")
                seconds.append(float(shown.evaluate(timing)))
    return Figure(what, tuple(seconds), 1.0)


def site(folder: Path) -> Iterator[Figure]:
    """`reviewbot site` from nothing, and after one more run."""
    runs = folder / "data" / "runs"
    runs.mkdir(parents=True)
    left(runs / "20261101-000000-0000", RECORDS["regression"]())
    for number in range(1, RUNS):
        shutil.copytree(runs / "20261101-000000-0000", runs / f"20261101-{number:06}-0000")
    command = [sys.executable, "-m", "reviewbot", "site", str(folder / "site")]
    env = {**os.environ, "REVIEWBOT_DATA": str(folder / "data")}
    status, seconds, _ = measured_process(command, env)
    why_not = failed([status])
    yield Figure(f"the site of {RUNS} runs", () if why_not else (seconds,), 10.0, why_not)
    more = []
    for number in range(TIMES):
        shutil.copytree(runs / "20261101-000000-0000", runs / f"20261102-{number:06}-0000")
        more.append(measured_process(command, env))
    why_not = failed(status for status, _, _ in more)
    yield Figure("the site after one more run", () if why_not else tuple(one for _, one, _ in more), 1.0, why_not)


def main() -> None:
    """By itself: `python -m benchmarks.reports`."""
    for figure in reports():
        values = ", ".join(f"{value:.2f}" for value in figure.values)
        sys.stdout.write(f"{figure.what}: {values or figure.why_not} {figure.unit} (limit {figure.limit:g})\n")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-2.0-or-later
"""The reports as their readers see them. `UPDATE_GOLDEN=1 pytest tests/report` writes the files anew, and fails."""

import os
import re

import pytest

from reviewbot.model.base import Model
from reviewbot.model.verdict import VerdictKind
from reviewbot.report import files
from tests.report.records import GOLDEN, PARENT, RECORDS, TOP

UPDATE = "UPDATE_GOLDEN"
REPORTS = ("summary.md", "reply.eml", "junit.xml", "kcidb.json", "checks.json", "report.html")
_CHART = re.compile(rb"<svg .*?</svg>", re.DOTALL)
_SAME = re.compile(rb"<style>.*?</style>|<script>.*?</script>|<meta http-equiv=.*?>", re.DOTALL)


def written(name: str, report: str) -> bytes:
    content = files(RECORDS[name](), {TOP: PARENT})[report]
    text = content.model_dump_json(indent=1) + "\n" if isinstance(content, Model) else content
    raw = text.encode() if isinstance(text, str) else text
    # Numbers in a chart depend on the version of matplotlib; style and script of a page are files of their own.
    return _SAME.sub(b"", _CHART.sub(b"<svg></svg>", raw)) if report == "report.html" else raw


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("name", RECORDS)
def test_a_report_is_the_golden_one(name: str, report: str) -> None:
    path = GOLDEN / name / report
    content = written(name, report)
    if os.environ.get(UPDATE):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        pytest.fail(f"{path} was written; look at it, then run again without {UPDATE}")
    assert content.decode() == path.read_text()


def test_no_golden_file_is_left_over() -> None:
    found = {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*") if path.is_file()}
    assert found == {f"{name}/{report}" for name in RECORDS for report in REPORTS}


@pytest.mark.parametrize("report", ("summary.md", "reply.eml"))
@pytest.mark.parametrize("name", RECORDS)
def test_a_text_has_no_double_blank_lines_no_stray_spaces_and_ends_with_one_newline(name: str, report: str) -> None:
    text = written(name, report).decode()
    assert "\n\n\n" not in text
    assert re.findall(r"(?<!--)[ \t]+$", text, re.MULTILINE) == []
    assert text.endswith("\n") and not text.endswith("\n\n")


def test_the_verdict_is_the_last_file() -> None:
    for build in RECORDS.values():
        assert list(files(build(), {}))[-1] == "verdict.json"


def test_a_run_without_tests_has_no_results_file() -> None:
    assert "results.json" in files(RECORDS["pass"](), {})
    assert "results.json" not in files(RECORDS["does-not-apply"](), {})


def test_every_verdict_has_its_golden_files() -> None:
    assert {found.kind for build in RECORDS.values() if (found := build().verdict)} == set(VerdictKind)

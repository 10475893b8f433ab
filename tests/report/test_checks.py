# SPDX-License-Identifier: GPL-2.0-or-later
"""What Patchwork is told of each patch."""

import re

import pytest
from hypothesis import given

from reviewbot.model.checks import PatchCheck
from reviewbot.report.checks import checks
from tests.report.records import RECORDS
from tests.report.test_injection import TEXTS, broken_record, record_with, reviewed_record

PATCHES = ("libfuse.1", "libfuse.2", "libfuse.3", "e2fsprogs.1")


def states(name: str, context: str = "reviewbot-tests") -> dict[str, str]:
    found = [one for one in checks(RECORDS[name]()).checks if one.context == context]
    assert len({one.message_id for one in found}) == len(found)
    return {one.message_id.partition("@")[0]: one.state for one in found}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pass", dict.fromkeys(PATCHES, "success")),
        ("fail", dict.fromkeys(PATCHES, "warning")),
        ("regression", {**dict.fromkeys(PATCHES, "warning"), "libfuse.2": "fail"}),
        ("does-not-apply", {**dict.fromkeys(PATCHES, "warning"), "libfuse.3": "fail"}),
        ("build-fails", {**dict.fromkeys(PATCHES, "warning"), "libfuse.2": "fail"}),
        ("review-clean", {}),
        ("blocked", {}),
        ("infra", {}),
    ],
)
def test_the_verdict_is_at_each_patch_and_the_blame_at_the_guilty_one(name: str, expected: dict[str, str]) -> None:
    assert states(name) == expected


def test_a_review_says_how_each_patch_builds() -> None:
    assert states("review-errors", "reviewbot-review") == {
        "libfuse.1": "fail",
        "libfuse.2": "fail",
        "libfuse.3": "warning",
        "e2fsprogs.1": "success",
    }


@given(TEXTS)
def test_no_text_leaves_its_line(text: str) -> None:
    found: list[PatchCheck] = []
    for record in (record_with(text), broken_record(text), reviewed_record(text)):
        found += checks(record).checks
    assert found
    for one in found:
        assert re.fullmatch(r"[A-Za-z0-9_-]+", one.context)
        assert len(one.description) <= 250 and len(one.description.splitlines()) <= 1

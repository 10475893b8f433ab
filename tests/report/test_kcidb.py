# SPDX-License-Identifier: GPL-2.0-or-later
"""kcidb.json is what kcidb-io takes, whatever a run holds."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from kcidb_io import schema

from reviewbot.model.results import Outcome
from reviewbot.report import Record
from reviewbot.report.kcidb import kcidb
from tests.report.records import RECORDS, TREES, case, judged, leg, passing, results
from tests.report.test_injection import TEXTS, broken_record, record_with, reviewed_record


def submission(record: Record, mails: dict[str, bytes] | None = None) -> dict[str, Any]:
    """Valid, and with every id where it belongs."""
    found: dict[str, Any] = schema.LATEST.validate(kcidb(record, mails or {}))
    ids = {kind: [one["id"] for one in found[kind]] for kind in ("checkouts", "builds", "tests", "issues", "incidents")}
    assert all(len(set(some)) == len(some) for some in ids.values())
    assert {one["checkout_id"] for one in found["builds"]} <= set(ids["checkouts"])
    assert {one["build_id"] for one in found["tests"]} <= set(ids["builds"])
    assert {one["test_id"] for one in found["incidents"]} <= set(ids["tests"])
    assert {one["issue_id"] for one in found["incidents"]} <= set(ids["issues"])
    return found


@pytest.mark.parametrize("name", RECORDS)
def test_every_run_is_a_submission(name: str) -> None:
    submission(RECORDS[name]())


@given(TEXTS)
def test_no_text_makes_it_invalid(text: str) -> None:
    for record in (record_with(text), broken_record(text), reviewed_record(text)):
        schema.LATEST.validate(kcidb(record, {}))


def test_there_is_a_checkout_per_component_and_each_names_the_others() -> None:
    found = submission(passing())
    assert [one["tree_name"] for one in found["checkouts"]] == ["kernel", "libfuse", "e2fsprogs"]
    for one in found["checkouts"]:
        assert {*one["misc"]["reviewbot"]["stack"], one["id"]} == {other["id"] for other in found["checkouts"]}
    assert "git_commit_hash" not in found["checkouts"][0], "commits of an imported package are nobody else's"
    assert found["checkouts"][1]["git_commit_hash"] == "2b" * 20


def test_a_checkout_says_where_it_is_from_and_when() -> None:
    trees = [tree.model_copy(update={"url": "https://example.org/x.git"}) for tree in TREES.trees]
    record = passing().model_copy(update={"trees": TREES.model_copy(update={"trees": tuple(trees)})})
    record = record.model_copy(update={"started": datetime(2026, 11, 3, tzinfo=UTC)})
    found = submission(record)["checkouts"]
    assert ["git_repository_url" in one for one in found] == [False, True, True]
    assert found[0]["start_time"] == "2026-11-03T00:00:00+00:00"


def test_the_hash_of_a_patchset_is_that_of_sha256sum() -> None:
    mails = {f"libfuse.{n}@example.org": f"mail {n}".encode() for n in (1, 2, 3)}
    sums = "".join(hashlib.sha256(raw).hexdigest() + "\n" for raw in mails.values())
    found = submission(passing(), mails)["checkouts"][1]
    assert found["patchset_hash"] == hashlib.sha256(sums.encode()).hexdigest()
    assert found["patchset_files"][0]["url"] == "https://lore.kernel.org/r/libfuse.1@example.org/raw"


STATUS = {"PASS": "PASS", "FAIL": "FAIL", "CRASH": "FAIL", "HANG": "FAIL", "KNOWN": "FAIL", "NOTRUN": "SKIP",
          "MISS": "MISS", "INFRA": "ERROR"}  # fmt: skip


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_has_its_status(outcome: Outcome) -> None:
    (test,) = submission(judged(results(leg("ext4", case("fstests", "generic/001", outcome)))))["tests"]
    assert (test["status"], test["path"]) == (STATUS[outcome], "xfstests.generic.001")


def test_new_and_known_failures_are_issues_with_their_tests() -> None:
    found = submission(RECORDS["regression"]())
    new, known = found["issues"]
    assert new["report_subject"].startswith("fuse2fs smoke/rename FAIL") and new["culprit"]["code"]
    assert new["misc"]["reviewbot"]["patches"] == ["libfuse.2@example.org"]
    assert known["report_url"] == "https://example.org/acl"
    again = submission(RECORDS["pass"]())["issues"]
    assert again == [known], "the same in every run"


def test_what_does_not_apply_or_build_is_said_of_its_component() -> None:
    found = submission(RECORDS["does-not-apply"]())["checkouts"]
    assert {one["tree_name"]: one["valid"] for one in found} == {"libfuse": False, "e2fsprogs": True}
    (build,) = submission(RECORDS["build-fails"]())["builds"]
    assert (build["status"], build["compiler"]) == ("FAIL", "gcc 4:12.2.0-3") and "undeclared" in build["log_excerpt"]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Failures that decide nothing for now: each entry has a reason, a link and an end."""

import datetime
from pathlib import Path

import pytest

from reviewbot.config import Site, load_site
from reviewbot.model.errors import ConfigError
from reviewbot.suites.quarantine import Entry, load_quarantine, quarantined

TODAY = datetime.date(2026, 11, 29)
ENTRY = Entry(
    tests=("fstests/generic/475",),
    legs=("fuse*",),
    says="input/output error|dm-flakey",
    reason="races with the flusher",
    link="https://example.org/475",
    expires=TODAY,
)


def find(leg: str = "fuse2fs", test: str = "fstests/generic/475", said: str = "cp: input/output error") -> bool:
    return quarantined([ENTRY], leg, test, said, TODAY) is not None


def test_an_entry_means_its_legs_tests_and_words_only() -> None:
    assert find()
    assert not find(leg="ext4") and not find(test="fstests/generic/476") and not find(said="output differs")


def test_an_entry_holds_to_its_last_day_and_is_told_after_it() -> None:
    held = quarantined([ENTRY], "fuse2fs", "fstests/generic/475", "dm-flakey", TODAY)
    over = quarantined([ENTRY], "fuse2fs", "fstests/generic/475", "dm-flakey", TODAY + datetime.timedelta(days=1))
    assert held and not held.expired and over and over.expired


def test_of_two_entries_the_one_that_holds_longer_counts() -> None:
    longer = ENTRY.model_copy(update={"expires": TODAY + datetime.timedelta(days=9), "reason": "still not mended"})
    found = quarantined([ENTRY, longer], "fuse2fs", "fstests/generic/475", "dm-flakey", TODAY)
    assert found and found.reason == "still not mended"


def test_the_site_names_the_file_and_a_mistake_in_it_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("quarantine: flaky.yaml\n")
    (tmp_path / "flaky.yaml").write_text(
        "quarantine:\n"
        "  - {tests: [smoke/fio], reason: too slow here, link: 'https://example.org', expires: 2026-12-01}\n"
    )
    (entry,) = load_quarantine(load_site(tmp_path / "site.yaml"))
    assert entry.expires == datetime.date(2026, 12, 1)
    (tmp_path / "flaky.yaml").write_text(
        "quarantine:\n  - {tests: [smoke/fio], reason: too slow here, link: 'https://example.org'}\n"
    )
    with pytest.raises(ConfigError, match=r"flaky\.yaml:2.*expires"):
        load_quarantine(load_site(tmp_path / "site.yaml"))


def test_without_a_file_nothing_is_in_quarantine() -> None:
    assert load_quarantine(Site()) == ()

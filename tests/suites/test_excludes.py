# SPDX-License-Identifier: GPL-2.0-or-later
"""Excludes: data with leg, condition, reason, link and end; never silent."""

import datetime
from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.model.artifacts import Fact
from reviewbot.model.errors import ConfigError, UsageError
from reviewbot.model.lab import StepReply
from reviewbot.model.results import Outcome
from reviewbot.suites import fstests
from reviewbot.suites.excludes import Exclude, load_excludes
from reviewbot.suites.selection import Selection, choose, parse

STACK = load_stack()
EXT4, FUSE = STACK.leg("ext4"), STACK.leg("fuse2fs")
TODAY = datetime.date(2026, 11, 25)
LINK = "https://example.org/1"
GROUPS = {
    "generic/001": frozenset({"auto", "quick"}),
    "generic/002": frozenset({"auto", "quick", "metadata"}),
    "generic/003": frozenset({"auto", "dangerous"}),
    "generic/004": frozenset({"auto", "dangerous_fuzzers"}),
}
FACTS: dict[str, Fact] = {"kernel.release": "6.12.7-rb-1", "accelerator": "tcg"}


def entry(**keys: object) -> Exclude:
    given = {"reason": "it hangs the server", "link": LINK, **keys}
    if "test" in given:
        given.setdefault("expires", TODAY)
    return Exclude.model_validate(given)


def chosen(words: str, *excludes: Exclude, today: datetime.date = TODAY) -> Selection:
    return choose(parse(words), GROUPS, FUSE, excludes, FACTS.get, today)


def test_shipped_excludes_are_valid() -> None:
    assert load_excludes()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{test: generic/001, link: 'https://x.org', expires: 2027-01-01}", r"excludes\.0\.reason"),
        ("{test: generic/001, reason: '', link: 'https://x.org', expires: 2027-01-01}", r"excludes\.0\.reason"),
        ("{reason: because of this, link: 'https://x.org'}", "needs either"),
        ("{test: generic/001, reason: because of this, expires: 2027-01-01}", r"excludes\.0\.link"),
        ("{test: generic/001, reason: because of this, link: 'https://x.org'}", "needs `expires`"),
        ("{group: x, reason: because of this, link: 'https://x.org', expires: soon}", r"excludes\.0\.expires"),
        ("{group: x, reason: because of this, link: 'https://x.org', when: kernle < 6.13}", "kernle: no such name"),
        ("{group: x, reason: because of this, link: 'https://x.org', when: accelerator < tcg}", "cannot be ordered"),
    ],
)
def test_a_wrong_entry_is_a_config_error_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "excludes.yaml"
    path.write_text(f"excludes:\n  - {line}\n")
    with pytest.raises(ConfigError, match=r"excludes\.yaml:2: ") as caught:
        load_excludes(path)
    assert caught.match(said)


def test_a_test_that_is_excluded_by_name_stays_and_says_why() -> None:
    found = chosen("-g quick", entry(test="generic/00[1]"))
    assert found.tests == ("generic/001", "generic/002")
    assert found.why_not == {"generic/001": f"excluded: it hangs the server ({LINK})"}
    (exclusion,) = found.excluded
    assert (exclusion.by, exclusion.pattern, exclusion.tests) == ("test", "generic/00[1]", ("generic/001",))
    assert exclusion.expires == TODAY


def test_what_a_group_takes_away_is_told() -> None:
    found = chosen("-g auto", entry(group="dangerous*"))
    assert found.tests == ("generic/001", "generic/002") and not found.why_not
    (exclusion,) = found.excluded
    assert (exclusion.by, exclusion.tests) == ("group", ("generic/003", "generic/004"))


def test_a_group_is_not_taken_from_who_asks_for_it_or_for_its_test() -> None:
    rule = entry(group="dangerous*")
    assert chosen("-g auto,dangerous", rule).excluded == ()
    assert chosen("generic/003", rule).tests == ("generic/003",)
    assert chosen("-g auto -x dangerous generic/001", rule).excluded[0].tests == ("generic/004",)


def test_nothing_is_told_of_entries_for_other_legs_or_tests() -> None:
    rules = (entry(test="generic/001", legs=["lkl*"]), entry(test="generic/9*"), entry(group="metadata", legs=["ext4"]))
    found = chosen("-g quick", *rules)
    assert (len(found.tests), found.excluded, found.notes, found.why_not) == (2, (), (), {})
    assert choose(parse("-g quick"), GROUPS, EXT4, rules).tests == ("generic/001",)


def test_an_entry_that_has_expired_excludes_no_more_and_says_so() -> None:
    rule = entry(test="generic/001")
    late = chosen("-g quick", rule, today=TODAY + datetime.timedelta(days=1))
    assert chosen("-g quick", rule).why_not and not late.why_not and not late.excluded
    assert late.notes == (
        f"the exclude of test generic/001 expired on 2026-11-25, its tests run again: it hangs the server ({LINK})",
    )


def test_a_condition_decides_and_one_that_cannot_be_decided_is_said() -> None:
    assert chosen("-g quick", entry(test="generic/001", when="kernel < 6.13 and accelerator == tcg")).excluded[0].when
    assert chosen("-g quick", entry(test="generic/001", when="kernel >= 6.13")).excluded == ()
    found = chosen("-g quick", entry(test="generic/001", when="e2fsprogs.verson < 2"))
    assert not found.why_not
    assert found.notes == (
        "the exclude of test generic/001 does not apply: nothing is known about e2fsprogs.verson here",
    )


def test_when_nothing_is_left_it_is_an_error_of_who_asked() -> None:
    with pytest.raises(UsageError, match="selects no tests"):
        chosen("-g metadata", entry(group="quick"))


def test_an_excluded_test_needs_no_machine_and_is_not_run() -> None:
    prepare, first, second = fstests.steps(FUSE, chosen("-g quick", entry(test="generic/001")))
    assert prepare.gate and prepare.name.startswith("setup/")
    assert first.known == f"excluded: it hangs the server ({LINK})"
    assert (second.known, second.argv) == ("", ("/stack/suites/fstests/run", "generic/002"))
    assert second.collect == ("/results/generic/002",)
    reply = StepReply(name=first.name, status="known", exit_status=77, output=first.known)
    (result,) = fstests.results(FUSE, [reply])
    assert (result.outcome, result.reason, result.learned) == (Outcome.NOTRUN, first.known, False)

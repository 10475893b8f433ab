# SPDX-License-Identifier: GPL-2.0-or-later
"""Features that mke2fs makes filesystems with on one side only."""

import pytest

from reviewbot.model.comparison import Blame, BlamedPatch, Comparison, FigureChange
from reviewbot.model.results import Filesystem, LegResult, Outcome, Results, TestResult
from reviewbot.model.review import PatchRef
from reviewbot.model.verdict import FindingKind, Verdict, VerdictKind
from reviewbot.verdict import judge
from reviewbot.verdict.features import changed, confirmed, lacks

PATCH = PatchRef(component="e2fsprogs", message_id="e.2@example.org", number=2, total=3, subject="mke2fs: sort")
CSUM = FigureChange(
    leg="ext4", suite="smoke", test="mkfs", figure="feature metadata_csum", unit="filesystems", base=(1.0, 1.0),
    head=(0.0, 0.0),
)  # fmt: skip


def leg(*features: str, outcome: Outcome = Outcome.PASS, known: bool = True, name: str = "ext4") -> LegResult:
    made = Filesystem(features=features) if known else None
    return LegResult(
        leg=name, available=True, tests=(TestResult(suite="smoke", test="mkfs", outcome=outcome, made=made),)
    )


def verdict(*figures: FigureChange) -> Verdict:
    results = Results(run="20261103-101502-7a3f", tool="reviewbot 0", legs=(leg("64bit"),))
    return judge(results.run, results, Comparison(figures=figures), {"c2": PATCH}.get)


def blamed(change: FigureChange, *commits: str) -> FigureChange:
    patches = (BlamedPatch(component="e2fsprogs", commits=commits, probability=1.0),)
    return change.model_copy(update={"blame": Blame(components=("e2fsprogs",), patches=patches)})


def test_a_feature_of_one_side_is_found_in_whatever_order_it_is_said() -> None:
    lost, gained = changed(leg("64bit", "metadata_csum", "extent"), leg("extent", "orphan_file", "64bit"), "smoke")
    assert (lost.feature, lost.base, lost.head, lost.counts) == ("metadata_csum", (1.0,), (0.0,), True)
    assert (gained.feature, gained.base, gained.head, gained.counts) == ("orphan_file", (0.0,), (1.0,), False)
    assert changed(leg("64bit", "extent"), leg("extent", "64bit"), "smoke") == ()


@pytest.mark.parametrize("silent", [leg(known=False), leg(outcome=Outcome.FAIL), LegResult(leg="ext4", available=True)])
def test_what_a_side_does_not_say_is_no_lost_feature(silent: LegResult) -> None:
    assert changed(leg("64bit"), silent, "smoke") == changed(silent, leg("64bit"), "smoke") == ()
    assert lacks(silent, CSUM) is None


def test_a_second_run_confirms_it_and_both_are_counted() -> None:
    both = changed(leg("64bit", "metadata_csum"), leg("64bit"), "smoke")
    assert [(one.base, one.head) for one in confirmed(both, both)] == [((1.0, 1.0), (0.0, 0.0))]
    assert confirmed(both, changed(leg("64bit"), leg("64bit"), "smoke")) == ()
    assert confirmed(both, changed(leg("64bit"), leg("64bit", "metadata_csum"), "smoke")) == ()


def test_a_stack_shows_it_where_its_filesystems_are_made_without_it() -> None:
    assert (lacks(leg("64bit"), CSUM), lacks(leg("metadata_csum"), CSUM)) == (True, False)


def test_a_lost_feature_is_a_regression_and_a_new_one_is_not() -> None:
    found = verdict(CSUM)
    assert (found.kind, found.findings[0].kind) == (VerdictKind.REGRESSION, FindingKind.FEATURE)
    assert found.findings[0].is_new
    gained = CSUM.model_copy(update={"base": CSUM.head, "head": CSUM.base})
    assert (verdict(gained).kind, verdict(gained).findings) == (VerdictKind.PASS, ())


def test_a_loss_that_the_posting_announces_decides_nothing() -> None:
    found = verdict(CSUM.model_copy(update={"announced": "Do not enable metadata_csum."}))
    assert (found.kind, found.findings) == (VerdictKind.PASS, ())


def test_what_one_patch_loses_in_all_legs_is_one_finding() -> None:
    seed = CSUM.model_copy(update={"figure": "feature metadata_csum_seed"})
    other = CSUM.model_copy(update={"leg": "fuse2fs"})
    found = verdict(blamed(CSUM, "c2"), blamed(seed, "c2"), blamed(other, "c2")).findings
    assert [(one.test, one.also, one.suspects) for one in found] == [
        ("mkfs", ("ext4 metadata_csum_seed", "fuse2fs metadata_csum"), (PATCH,))
    ]
    assert len(verdict(blamed(CSUM, "c2"), blamed(seed, "c3")).findings) == 2

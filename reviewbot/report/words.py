# SPDX-License-Identifier: GPL-2.0-or-later
"""Every sentence that a person reads of a verdict is made here, from facts. Nothing reads a sentence back."""

from collections.abc import Sequence

from reviewbot.model.results import LegResult, Outcome, Results, TestResult
from reviewbot.model.review import PatchReview, Review
from reviewbot.model.verdict import Finding, FindingKind, SaidFinding, SaidVerdict
from reviewbot.model.words import counted, one_line, place, untagged
from reviewbot.report.notes import notes
from reviewbot.report.record import Record
from reviewbot.report.tables import known_in_question

UNTESTED = "nothing was booted or tested"
UNCOMPARED = "failed on head, not yet compared with base"
_NAMED = 3
"""Patches or tests that a summary names; the findings have all."""


def said(record: Record) -> SaidVerdict:
    """The verdict of a judged record with its sentences."""
    verdict = record.verdict
    assert verdict is not None
    text, quoted = _summary(record)
    findings = tuple(
        SaidFinding(**dict(found), what=sentence(found), in_summary=any(found is one for one in quoted))
        for found in verdict.findings
    )
    beside = record.review and (record.results or any(found.kind is FindingKind.HEAD for found in findings))
    reviewed = (f"review: {record.review.words()}",) if record.review and beside else ()
    texts = (*reviewed, *(note.text for note in notes(record)))
    return SaidVerdict(
        **{**dict(verdict), "findings": findings}, summary=text, notes=texts,
    )  # fmt: skip


def sentence(found: Finding) -> str:
    """One line: `fuse2fs smoke/rename FAIL: …`, `libfuse part 2/6 patch 3/5 “…” does not apply at lib/fuse.c:7`."""
    where = place(found.file, found.line)
    text = f"{where}: {found.said}" if where and found.said else found.said or where
    match found.kind:
        case FindingKind.TEST:
            reason = f": {found.said}" if found.said else ""
            return f"{test_name(found)} {found.outcome}{reason}"
        case FindingKind.HEAD if found.side == "base":
            return f"{found.component} does not build without the series: {text}"
        case FindingKind.HEAD:
            return f"{found.component} does not build: {text}{_blame(found)}"
        case FindingKind.PATCH:
            return f"{_patch(found)} does not build: {text}{_came(found)}"
        case FindingKind.APPLY:
            what = f"is refused: {found.said}" if found.said else f"does not apply{f' at {where}' if where else ''}"
            return f"{_patch(found)} “{found.patch.subject if found.patch else ''}” {what}"
        case FindingKind.REMARK:
            name = f"{_patch(found)}: " if found.patch else ""
            return f"{name}{text} [{found.tool}]"
        case FindingKind.STOP:
            return found.said


def test_name(found: Finding) -> str:
    """`fuse2fs fstests/generic/001`."""
    return f"{found.leg} {found.suite}/{found.test}"


def _patch(found: Finding) -> str:
    return found.patch.name if found.patch else found.component


def _came(found: Finding) -> str:
    return f" (the error came with “{found.came_with}”)" if found.came_with else ""


def _blame(found: Finding) -> str:
    return f"; from {found.patch.name} on ({untagged(found.patch.subject)})" if found.patch else ""


def _summary(record: Record) -> tuple[str, Sequence[Finding]]:
    """One sentence for a human, and the findings that it says all of."""
    assert record.verdict is not None
    findings = record.verdict.findings
    stops = [one for one in findings if one.kind in (FindingKind.STOP, FindingKind.APPLY)]
    heads = [one for one in findings if one.kind is FindingKind.HEAD]
    patches = [one for one in findings if one.kind is FindingKind.PATCH]
    if stops:
        return sentence(stops[0]), stops[:1]
    if heads:
        return _heads(heads), heads
    if patches:
        tests = f"; of head: {_tests(record.results)[0]}" if record.results else ""
        text = f"{_broken(patches)}; head does build: this breaks git bisect{tests}"
        return text, patches if len(patches) == 1 else ()
    if record.results:
        text, alone = _tests(record.results)
        if known := known_in_question(record):
            text += f"; {counted(len(known), 'known failure')} in what the series changes: {_named(known)}"
        return text, findings if alone else ()
    review = record.review
    return (_review(review, errors=bool(findings)) if review else "there are no results"), ()


def _heads(heads: Sequence[Finding]) -> str:
    """What does not build with all patches, and whether it does without them."""
    texts = []
    bases = {one.component: one for one in heads if one.side == "base"}
    for head in (one for one in heads if one.side == "head"):
        text = sentence(head)
        if base := bases.get(head.component):
            same = (base.file, base.said) == (head.file, head.said)
            other = place(base.file, base.line)
            words = f"{other}: {base.said}" if other else base.said
            text += "; its base has this error, too" if same else f"; its base does not build, either: {words}"
            text += ": this says nothing about the series"
        texts.append(text)
    return "; ".join(texts)


def _broken(patches: Sequence[Finding]) -> str:
    if len(patches) == 1:
        (one,) = patches
        where = place(one.file, one.line)
        return f"{_patch(one)} does not build on its own: {f'{where}: ' if where else ''}{one.said}{_came(one)}"
    names = ", ".join(_patch(one) for one in patches[:_NAMED])
    more = f" and {len(patches) - _NAMED} more" if len(patches) > _NAMED else ""
    return f"{counted(len(patches), 'patch')} do not build on their own: {names}{more}"


def _tests(results: Results) -> tuple[str, bool]:
    """What the tests say; and whether that is all of the only finding."""
    tests = [(leg, test) for leg in results.legs for test in leg.tests]
    broken = [(leg, test) for leg, test in tests if test.outcome.broken]
    unknown = [(leg, test) for leg, test in tests if test.outcome.unknown]
    passed = sum(test.outcome is Outcome.PASS for _, test in tests)
    if broken:
        return f"{counted(len(broken), 'test')} {UNCOMPARED}: {_named(broken)}; {passed} passed", len(tests) == 1
    if unknown or not passed:
        what = f"{counted(len(unknown), 'test')} got no result: {_named(unknown)}" if unknown else "no test passed"
        return f"{what}; this says nothing about the series", False
    legs = [leg.leg for leg in results.legs if leg.available]
    what = "the one test" if passed == 1 else f"all {passed} tests"
    return f"{what} that could run passed in {counted(len(legs), 'leg')} ({', '.join(legs)})", False


def _named(tests: Sequence[tuple[LegResult, TestResult]]) -> str:
    """`fuse4fs smoke/acl FAIL: reason` of one; `4 in fuse2fs (smoke/rename, smoke/fio, …)` of several."""
    if len(tests) == 1:
        leg, test = tests[0]
        reason = f": {one_line(test.reason, 160)}" if test.reason else ""
        return f"{leg.leg} {test.suite}/{test.test} {test.outcome}{reason}"
    by_leg: dict[str, list[str]] = {}
    for leg, test in tests:
        by_leg.setdefault(leg.leg, []).append(f"{test.suite}/{test.test}")
    return ", ".join(
        f"{len(names)} in {leg} ({', '.join(names[:_NAMED])}{', …' if len(names) > _NAMED else ''})"
        for leg, names in by_leg.items()
    )


def _review(review: Review, *, errors: bool) -> str:
    built, found = built_words(review.patches), f"the review found {review.words()}"
    return "; ".join((found, built, UNTESTED) if errors else (built, found, UNTESTED))


def built_words(patches: Sequence[PatchReview]) -> str:
    """`all 4 patches build one by one`, `2 of 4 patches build one by one, 1 changes nothing that is built`."""
    states = [patch.build.state if patch.build else "" for patch in patches]
    built, unaffected, total = states.count("built"), states.count("not-affected"), len(states)
    if not built:
        if unaffected == total:
            return "no patch changes anything that is built"
        heads = states.count("head-only")
        return "the patches are built at head only" if heads and heads + unaffected == total else "no patch was built"
    if total == 1:
        return "the patch builds"
    words = f"{'all ' if built == total else f'{built} of '}{total} patches build one by one"
    if unaffected:
        words += f", {unaffected} {'changes' if unaffected == 1 else 'change'} nothing that is built"
    left = total - built - unaffected
    return words + (f", {left} {'was' if left == 1 else 'were'} not built" if left else "")

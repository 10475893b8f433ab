# SPDX-License-Identifier: GPL-2.0-or-later
"""Every sentence that a person reads of a verdict is made here, from facts. Nothing reads a sentence back."""

from collections.abc import Sequence

from reviewbot.model.comparison import Class, Comparison, Counts
from reviewbot.model.results import LegResult, Outcome, Results, TestResult
from reviewbot.model.review import PatchReview, Review
from reviewbot.model.verdict import Finding, FindingKind, SaidFinding, SaidVerdict, VerdictKind
from reviewbot.model.words import NAMED, counted, listed, one_line, place, sized, untagged
from reviewbot.report.features import lost
from reviewbot.report.notes import notes
from reviewbot.report.rates import APART, otherwise, past, rates, spread
from reviewbot.report.record import Record
from reviewbot.report.tables import in_variant, known_in_question

UNTESTED = "nothing was booted or tested"
UNCOMPARED = "failed on head and could not be compared with base"
_REASON, _SENTENCE = 160, 600
"""Characters of a test's own words in a sentence, and of that sentence in the summary."""


def said(record: Record) -> SaidVerdict:
    """The verdict of a judged record with its sentences."""
    verdict = record.verdict
    assert verdict is not None
    text, quoted = _summary(record)
    findings = tuple(
        SaidFinding(**dict(found), what=what, in_summary=len(what) <= _SENTENCE and any(found is one for one in quoted))
        for found, what in ((found, sentence(found)) for found in verdict.findings)
    )
    beside = record.review and (record.results or any(found.kind is FindingKind.HEAD for found in findings))
    reviewed = (f"review: {record.review.words()}",) if record.review and beside else ()
    texts = (*reviewed, *(note.text for note in notes(record)))
    return SaidVerdict(
        **{**dict(verdict), "findings": findings},
        summary=text,
        notes=texts,
    )


def sentence(found: Finding) -> str:
    """One line: `fuse2fs smoke/rename FAIL: …`, `libfuse part 2/6 patch 3/5 “…” does not apply at lib/fuse.c:7`."""
    where = place(found.file, found.line)
    text = f"{where}: {found.said}" if where and found.said else found.said or where
    match found.kind:
        case FindingKind.TEST:
            reason = f": {one_line(found.said, _REASON)}" if found.said else ""
            return f"{test_name(found)} {found.outcome}{reason}{_compared(found)}{_from(found)}"
        case FindingKind.FIGURE | FindingKind.SLOWER | FindingKind.FEATURE:
            return f"{_change(found)}{_from(found)}"
        case FindingKind.MESSAGE:
            return f"{test_name(found)}: kernel message that base does not print: {found.said}{_from(found)}"
        case FindingKind.COMPAT:
            return f"{_mixed(found)}{_from(found)}"
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
    return f"{leg_name(found)} {found.suite}/{found.test}"


def leg_name(found: Finding) -> str:
    """`fuse2fs`, `fuse2fs (kasan,lockdep)`."""
    return in_variant(found.leg, found.variant)


def _compared(found: Finding) -> str:
    if found.compared is None or found.compared.kind is Class.UNCOMPARED:
        return ""
    if found.compared.kind is Class.NEWLY_NOTRUN:
        return " (runs and passes on base)"
    order = "; it passes alone and fails after other tests" if found.compared.order_dependent else ""
    also = f"; {counted(len(found.also), 'other test')} with the same cause: {listed(found.also)}" if found.also else ""
    return f" (fails {rates(found.compared)}{past(found.compared)}{order}{also})"


def _from(found: Finding) -> str:
    """The guilty patch, or those among which it is; the component when no patch is known."""
    if (blame := found.blame) is None:
        return ""
    if blame.problem:
        return f"; the cause was not found: {blame.problem}"
    if blame.undivided:
        ran = counted(blame.runs, "run")
        return f"; from the patches of {' or '.join(blame.components)}: the search timed out after {ran}"
    if not blame.components:
        return ""
    if len(blame.components) > 1:
        names = ", ".join(f"{one.name} “{untagged(one.subject)}”" for one in found.suspects[:NAMED])
        return f"; only with the patches of {' and '.join(blame.components)} together: {names}"
    if len(found.suspects) == 1:
        return f"; from {found.suspects[0].name} “{untagged(found.suspects[0].subject)}”{confirmed(found)}"
    if not found.suspects:
        return f"; from the patches of {blame.components[0]}"
    names = listed([one.name for one in found.suspects])
    probability = f"{blame.patches[0].probability * 100:.0f} %" if blame.patches else "unknown"
    return f"; from one of {names} (probability {probability} after {counted(blame.runs, 'run')})"


def confirmed(found: Finding) -> str:
    """` (fails 3/3 with it, 0/3 before it; passes on head without it)`: what the runs around the patch said."""
    if not found.blame or not found.blame.patches or not found.blame.patches[0].at.runs:
        return ""
    one = found.blame.patches[0]
    fails, *words = ("seen", "not", "also") if found.change else ("fails", "passes", "fails")
    before = f", {one.before.failed}/{one.before.runs} before it" if one.before.runs else ""
    without = "" if one.without is None else f"; {words[one.without]} on head without it"
    return f" ({fails} {one.at.failed}/{one.at.runs} with it{before}{without})"


def _change(found: Finding) -> str:
    """`fuse2fs smoke: memory 6 MiB on base, 34 MiB on head`."""
    change = found.change
    if change is None:
        return found.said
    if change.feature:
        return lost(change, found.also)
    was, now = amount(max(change.base), change.unit), amount(min(change.head), change.unit)
    figure, _, kind = change.figure.partition(" ")
    where = f"{change.suite}/{change.test}" if change.test else change.suite
    also = f" (also of {listed([name.partition(' ')[2] for name in change.also])})" if change.also else ""
    return f"{change.leg} {where}: {_FIGURES[figure].format(kind)}: {was} on base, {now} on head{also}"


_FIGURES = {
    "memory": "memory of the server", "cpu": "CPU time of the server",
    "unmount": "time until the server exited after umount",
    "requests": "{} requests", "slower": "“{}”",
    "leak": "memory that the server retains after a hundred “{}” operations",
    "steady-leak": "memory that the server leaks per hundred “{}” operations",
    "kernel-leak": "memory that the kernel retains after a hundred “{}” operations",
    "kernel-objects": "objects that the kernel retains after a hundred “{}” operations",
    "time": "time of one “{}”",
}  # fmt: skip


def amount(value: float, unit: str) -> str:
    """A figure with its unit: `34 MiB`, `4126`, `1.2 s`."""
    if unit == "KiB":
        return sized(value * 1024)
    return f"{value:.0f}" if unit in ("requests", "objects") else f"{value:.1f} {_UNITS.get(unit, unit)}"


_UNITS = {"exchanges": "one-byte round trips between two processes"}


def _mixed(found: Finding) -> str:
    """`fuse2fs with only kernel patched: smoke/mount fails here, but not on head or on base: reason`."""
    cell = found.cell
    if cell is None:
        return found.said
    reason = f": {cell.reason}" if cell.reason else ""
    checks = listed([f"smoke/{check}" for check in cell.only_here])
    patched = " and ".join(cell.patched)
    fail = "fails" if len(cell.only_here) == 1 else "fail"
    return f"{cell.leg} with only {patched} patched: {checks} {fail} here, but not on head or on base{reason}"


def apart(record: Record) -> list[str]:
    """What decides nothing, one line each: failures that base has, too, flaky and undecided ones; what is better."""
    if not record.comparison:
        return []
    lines = []
    for kind, one, several in APART:
        tests = [test for test in record.comparison.of(kind) if test.outcome.broken or kind is Class.FLAKY]
        if tests:
            said = spread if kind is Class.FLAKY else rates
            named = listed([f"{test.leg} {test.suite}/{test.test} ({said(test)}{past(test)})" for test in tests])
            words = one if len(tests) == 1 else several
            lines.append(f"{counted(len(tests), 'test')} {words}: {named}")
            lines += [line for test in tests if kind is Class.PRE_EXISTING and (line := otherwise(test))]
    lines += [
        f"{test.leg} {test.suite}/{test.test} failed and is in quarantine until {test.quarantine.expires}: "
        f"{test.quarantine.reason} ({test.quarantine.link})"
        for test in record.comparison.of(Class.QUARANTINED)
        if test.quarantine
    ]
    lines += [
        f"{test.leg} {test.suite}/{test.test} passes on base and cannot run on head, as announced by the posting: "
        f"“{test.announced}”"
        for test in record.comparison.of(Class.WITHDRAWN)
    ]
    lines += [
        f"{one.leg} {one.suite}/{one.test}: kernel warning that base does not have: {one.text}"
        for one in record.comparison.messages
        if not one.alarm
    ]
    return lines + _better(record.results, record.comparison)


def _better(results: Results | None, comparison: Comparison) -> list[str]:
    """Checks of smoke that pass on head and did not on base, in one run each."""
    fixed, running = [], []
    for leg in results.legs if results else ():
        base = comparison.smoke_on_base.get(leg.leg, {})
        for test in (test for test in leg.tests if test.suite == "smoke" and test.outcome is Outcome.PASS):
            was = base.get(test.test)
            if was is not None and (was.broken or was is Outcome.KNOWN):
                fixed.append(f"{leg.leg} smoke/{test.test} ({was} on base)")
            elif was is Outcome.NOTRUN:
                running.append(f"{leg.leg} smoke/{test.test}")
    lines = [f"fixed by the series: {listed(fixed)}"] if fixed else []
    return lines + ([f"newly running and passing: {listed(running)}"] if running else [])


def _patch(found: Finding) -> str:
    return found.patch.name if found.patch else found.component


def _came(found: Finding) -> str:
    return f" (the error came with “{found.came_with}”)" if found.came_with else ""


def _blame(found: Finding) -> str:
    return f"; since {found.patch.name} ({untagged(found.patch.subject)})" if found.patch else ""


def headline(record: Record) -> str:
    """The summary for who reads nothing else: which test fails where, since which patch; details are left out."""
    assert record.verdict is not None
    new = [one for one in record.verdict.findings if one.is_new]
    if record.verdict.kind is not VerdictKind.REGRESSION or not new:
        return _summary(record, short=True)[0]
    more = f", and {counted(len(new) - 1, 'more new finding')}" if len(new) > 1 else ""
    return f"{_effect(new[0])}{_since(new[0])}{more}"


def _effect(found: Finding) -> str:
    if found.cell:
        return f"{found.leg} fails with only {' and '.join(found.cell.patched)} patched"
    if found.change:
        return _change(found)
    if found.message:
        return f"{test_name(found)}: a new kernel message"
    head = found.compared.head if found.compared else Counts()
    sometimes = " sometimes" if 0 < head.failed < head.runs else ""
    return f"{test_name(found)} {_VERBS.get(found.outcome, 'fails')}{sometimes}"


_VERBS: dict[Outcome | None, str] = {
    Outcome.CRASH: "crashes",
    Outcome.HANG: "hangs",
    Outcome.NOTRUN: "can no longer run",
}


def _since(found: Finding) -> str:
    """The guilty patch without its subject."""
    if len(found.suspects) == 1:
        return f" since {found.suspects[0].name}"
    if not (blame := found.blame) or not blame.components:
        return ""
    names = " and ".join(blame.components)
    return f" with the patches of {names} together" if len(blame.components) > 1 else f" with the patches of {names}"


def _summary(record: Record, *, short: bool = False) -> tuple[str, Sequence[Finding]]:
    """One sentence for a human, and the findings that it says all of. short: without known failures."""
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
        tests = f"; on head: {_tests(record, record.results)[0]}" if record.results else ""
        text = f"{_broken(patches)}; head builds: this breaks git bisect{tests}"
        return text, patches if len(patches) == 1 else ()
    if record.results:
        text, alone = _tests(record, record.results)
        if (known := known_in_question(record)) and not short:
            text += f"; {counted(len(known), 'known failure')} in components that the series changes: {_named(known)}"
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
            text += "; base has the same error" if same else f"; base does not build either: {words}"
            text += ": this says nothing about the series"
        texts.append(text)
    return "; ".join(texts)


def _broken(patches: Sequence[Finding]) -> str:
    if len(patches) == 1:
        (one,) = patches
        where = place(one.file, one.line)
        return f"{_patch(one)} does not build on its own: {f'{where}: ' if where else ''}{one.said}{_came(one)}"
    names = ", ".join(_patch(one) for one in patches[:NAMED])
    more = f" and {len(patches) - NAMED} more" if len(patches) > NAMED else ""
    return f"{counted(len(patches), 'patch')} do not build on their own: {names}{more}"


def _tests(record: Record, results: Results) -> tuple[str, bool]:
    """What the tests say; and whether that is all of the only finding."""
    tests = [(leg, test) for leg in results.legs for test in leg.tests]
    broken = [(leg, test) for leg, test in tests if test.outcome.broken]
    unknown = [(leg, test) for leg, test in tests if test.outcome.unknown]
    passed = sum(test.outcome is Outcome.PASS for _, test in tests)
    findings = record.verdict.findings if record.verdict else ()
    if new := [one for one in findings if one.is_new]:
        return _regression(new, passed), len(findings) == 1
    decided = {
        (one.leg, one.suite, one.test)
        for one in (record.comparison.tests if record.comparison else ())
        if one.kind is not Class.UNCOMPARED
    }
    if left := [(leg, test) for leg, test in broken if (leg.leg, test.suite, test.test) not in decided]:
        return f"{counted(len(left), 'test')} {UNCOMPARED}: {_named(left)}; {passed} passed", len(tests) == 1
    if unknown or not passed:
        what = f"{counted(len(unknown), 'test')} got no result: {_named(unknown)}" if unknown else "no test passed"
        return f"{what}; this says nothing about the series", False
    legs = [leg.leg for leg in results.legs if leg.available]
    if broken:
        where = f"{counted(len(legs), 'leg')} ({', '.join(legs)})"
        return f"no new failure in {where}: {passed} passed, {len(broken)} failed but none of these is new", False
    what = "the only test" if passed == 1 else f"all {passed} tests"
    return f"{what} that could run passed in {counted(len(legs), 'leg')} ({', '.join(legs)})", False


def _regression(new: Sequence[Finding], passed: int) -> str:
    """What is new, the first of it in full."""
    more = f", and {counted(len(new) - 1, 'other new finding')}" if len(new) > 1 else ""
    return f"{one_line(sentence(new[0]), _SENTENCE)}{more}; {passed} passed"


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
        f"{len(names)} in {leg} ({', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''})"
        for leg, names in by_leg.items()
    )


def _review(review: Review, *, errors: bool) -> str:
    built, found = built_words(review.patches), f"the review found {review.words()}"
    return "; ".join((found, built, UNTESTED) if errors else (built, found, UNTESTED))


def built_words(patches: Sequence[PatchReview]) -> str:
    """`all 4 patches build individually`, `2 of 4 patches build individually, 1 changes nothing that is built`."""
    states = [patch.build.state if patch.build else "" for patch in patches]
    built, unaffected, total = states.count("built"), states.count("not-affected"), len(states)
    if not built:
        if unaffected == total:
            return "no patch changes anything that is built"
        heads = states.count("head-only")
        return "the patches were built at head only" if heads and heads + unaffected == total else "no patch was built"
    if total == 1:
        return "the patch builds"
    words = f"{'all ' if built == total else f'{built} of '}{total} patches build individually"
    if unaffected:
        words += f", {unaffected} {'changes' if unaffected == 1 else 'change'} nothing that is built"
    left = total - built - unaffected
    return words + (f", {left} {'was' if left == 1 else 'were'} not built" if left else "")

# SPDX-License-Identifier: GPL-2.0-or-later
"""What a reader must know to trust a verdict, one line each."""

from collections.abc import Iterator
from dataclasses import dataclass

from reviewbot.model.comparison import Class
from reviewbot.model.results import Outcome, Previous, Results
from reviewbot.model.review import PatchReview, Review
from reviewbot.model.trees import Tree, Trees
from reviewbot.model.verdict import VerdictKind
from reviewbot.model.words import counted
from reviewbot.report.features import feature_notes
from reviewbot.report.record import Record
from reviewbot.report.tables import known_failures, known_in_question, public_words
from reviewbot.report.untried import not_tried

_LACKS = {
    "review": "the patches were not reviewed",
    "blame": "the first bad patch is unknown",
    "coverage": "there is no coverage",
    "comparison": "not everything was compared with base",
}
"""What could not be found out -> how that is said."""


_LEFT_OUT = frozenset({"elsewhere", "stray-patch", "part-only", "other-posting", "pull-ignored", "not-decodable"})
"""Kinds of problems of a posting after which a verdict speaks of less than what was sent."""


@dataclass(frozen=True, slots=True)
class Note:
    """One line."""

    text: str
    told: bool = False
    """A mail says it in a place of its own."""
    operator: bool = False
    """It is about the machine that ran this, or about how its sources were reached: no concern of the author."""


def notes(record: Record) -> list[Note]:
    """All of them, the most telling first."""
    verdict = record.verdict
    assert verdict is not None
    found = [Note(problem.message) for problem in record.posting.problems if problem.kind in _LEFT_OUT]
    found += _of_tests(record.results, record) if record.results else ()
    found += _of_review(record.review) if record.review else ()
    found += _of_trees(record.trees) if record.trees else ()
    found += [Note(f"{_LACKS.get(what, what)}: {why}", operator=True) for what, why in verdict.lacks.items()]
    if verdict.hint:
        found.append(Note(verdict.hint, operator=True))
    return found


def _of_tests(results: Results, record: Record) -> Iterator[Note]:
    if results.previous:
        yield Note(previous_words(results.previous))
    broken = any(test.outcome.broken for leg in results.legs for test in leg.tests)
    if broken and record.verdict and record.verdict.compared_with is None:
        why = record.comparison.base_problem if record.comparison else "this run has no base run"
        yield Note(f"failures may be older than this series: {why}")
    if record.comparison:
        yield from (
            Note(f"leg {leg}: smoke has no result on base, so costs, messages and features are not compared: {why}")
            for leg, why in record.comparison.lost.items()
        )
        yield from (
            Note(f"leg {leg}: not all of the bench suite was compared with base: {why}")
            for leg, why in record.comparison.unmeasured.items()
        )
        yield from (
            Note(f"{one.leg} {one.suite}/{one.test} counts again: its quarantine ended on {one.quarantine.expires}")
            for one in record.comparison.tests
            if one.quarantine and one.quarantine.expired
        )
        if any(one.kind is Class.NEW for one in record.comparison.tests):
            yield Note(
                f"of tests that fail equally often on both sides, at most {record.comparison.error_bound * 100:.1f} % "
                "are reported as new"
            )
        if record.comparison.base_problem and not broken:
            yield Note(f"base was lost, so only outcomes on head are known: {record.comparison.base_problem}")
    if record.plan and record.plan.deep:
        yield Note(rests_on(record))
    yield from (Note(line) for line in untouched_legs(record))
    if gone := record.comparison.of(Class.WITHDRAWN) if record.comparison else ():
        names = ", ".join(f"{test.leg} {test.suite}/{test.test}" for test in gone)
        yield Note(f"{counted(len(gone), 'test')} can no longer run, as announced by the posting: {names}", told=True)
    yield from (Note(line) for line in feature_notes(record.comparison.figures if record.comparison else ()))
    if known := known_failures(record):
        words = f"{counted(len(known), 'test')} failed in ways the unpatched stack is known to fail"
        asked = known_in_question(record)
        names = ", ".join(f"{leg.leg} {test.suite}/{test.test}" for leg, test in asked)
        more = f"; please check those in components that the series changes: {names}" if asked else ""
        yield Note(f"KNOWN: {words}{more}", told=True)
    if results.variant:
        yield Note(f"variant {results.variant}: results differ from those of the plain stack")
    for leg in results.legs:
        if not leg.available:
            yield Note(f"leg {leg.leg} is unavailable: {leg.reason}")
        elif leg.reason:
            yield Note(f"leg {leg.leg}: {leg.reason}")
        yield from (Note(f"leg {leg.leg}: {note}", operator=True) for note in leg.notes)
    yield from (Note(line) for line in not_tried(results))
    reused = [leg.leg for leg in results.legs if leg.available and leg.reused and leg.tests]
    if reused:
        yield Note(f"same inputs as an earlier run, results taken from it: {', '.join(reused)}", operator=True)
    if any(leg.accelerator == "tcg" for leg in results.legs):
        clean = record.verdict is not None and record.verdict.kind is VerdictKind.PASS
        words, why = "times mean little, and races show up differently", results.accelerator_why
        if clean and why:
            yield Note(f"{why}: {words}", operator=True)
        else:
            yield Note(f"the CPU was emulated (TCG): {words}", operator=clean)
            yield from (Note(line, operator=True) for line in (why,) if line)


def rests_on(record: Record) -> str:
    """Of a deep run: `this rests on the plain stack (fstests -g quick) and variant kasan,lockdep (83 passed)`."""
    words = [f"the plain stack (fstests {record.plan.tests})" if record.plan else "the plain stack"]
    mixed = [cell for cell in record.comparison.cells if not cell.outcome.unknown] if record.comparison else []
    words += [counted(len(mixed), "mixed stack")] if mixed else []
    lacks = record.verdict.lacks if record.verdict else {}
    for deep in record.deep:
        if deep.results and f"variant {deep.variant}" not in lacks:
            passed = sum(leg.count(Outcome.PASS) for leg in deep.results.legs)
            words.append(f"variant {deep.variant} ({passed} passed)")
    return f"this is based on {' and '.join(filter(None, (', '.join(words[:-1]), words[-1])))}"


def previous_words(found: Previous) -> str:
    """`3 found in v6: 2 gone, 1 still there (fuse2fs fstests/generic/013)`."""
    stays = ", ".join(f"{one.leg} {one.suite}/{one.test}" for one in found.stays)
    total = len(found.gone) + len(found.stays) + len(found.unknown)
    if not total:
        return f"there were no findings in v{found.version}"
    words = [f"{len(found.gone)} gone"] if found.gone else []
    words += [f"{len(found.stays)} still there ({stays})"] if found.stays else []
    words += [f"{len(found.unknown)} not tested this time"] if found.unknown else []
    return f"{total} found in v{found.version}: {', '.join(words)}"


def untouched_legs(record: Record) -> list[str]:
    """Of legs with failures: whether anything that the series changes is part of them."""
    if not (record.results and record.plan and record.trees):
        return []
    patched = {tree.component for tree in record.trees.trees if tree.patches}
    needs = {leg.leg: set(leg.needs) for leg in record.plan.legs}
    found = []
    for leg in record.results.legs:
        if leg.leg in needs and any(test.outcome.broken for test in leg.tests) and not needs[leg.leg] & patched:
            found.append(f"leg {leg.leg} uses no component that the series changes ({', '.join(sorted(patched))})")
    return found


def _of_review(review: Review) -> Iterator[Note]:
    """What was not looked at, and why."""
    yield from (Note(f"without {tool}: {why}", operator=True) for tool, why in review.skipped.items())
    reasons: dict[str, list[PatchReview]] = {}
    for patch in review.patches:
        if patch.build and (patch.build.state in ("skipped", "head-only") or patch.build.of_base):
            reasons.setdefault(patch.build.first_error(), []).append(patch)
    for why, patches in reasons.items():
        which = f"{patches[0].name} was" if len(patches) == 1 else f"{counted(len(patches), 'patch')} were"
        yield Note(f"{which} not built: {why}")


def _of_trees(trees: Trees) -> Iterator[Note]:
    """Sources that could not be had, what base had already, and what was tried for bases that took some trying."""
    for component, reason in trees.unavailable.items():
        yield Note(f"component {component} is unavailable: {public_words(reason)}", operator=True)
    for tree in trees.trees:
        yield from _of_tree(tree)


def _of_tree(tree: Tree) -> Iterator[Note]:
    if tree.patches and not tree.justified:
        yield Note(f"{tree.component}: no evidence for this base: {public_words(tree.base_why)}")
    merged = [patch for patch in tree.patches if patch.merged]
    if merged:
        more = f" and {len(merged) - 1} more" if len(merged) > 1 else ""
        yield Note(f"{tree.component}: base already has {counted(len(merged), 'patch')}: “{merged[0].subject}”{more}")
    if len(tree.attempts) > 1 or not all(attempt.result == "chosen" for attempt in tree.attempts):
        for attempt in tree.attempts:
            yield Note(public_words(f"{tree.component}: {attempt.what}: {attempt.result}"), operator=True)

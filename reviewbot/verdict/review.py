# SPDX-License-Identifier: GPL-2.0-or-later
"""What a review means: of a run that boots nothing, and for a run that does."""

from collections.abc import Sequence

from reviewbot.model.posting import Posting
from reviewbot.model.review import PatchReview, Review, Severity
from reviewbot.model.trees import AppliedPatch, Trees
from reviewbot.model.verdict import Finding, Verdict, VerdictKind
from reviewbot.model.words import counted, untagged
from reviewbot.verdict.judge import tree_notes

UNTESTED = "nothing was booted or tested"
_NAMED = 3
"""Patches that a summary names; the findings have all."""


def judge_review(run: str, review: Review, *, trees: Trees | None = None, heads: Sequence[Verdict] = ()) -> Verdict:
    """The verdict of a run that only reviews.

    heads: the verdict on each component whose head does not build, blamed if possible. A patch that does not build:
    BUILD-FAILS. Else an error of any reviewer: REVIEW-ERRORS. Else PASS, which says that nothing was tested.
    """
    notes = (*review_notes(review), *tree_notes(trees))
    errors = _errors(review)
    if heads:
        return _with_heads(heads, review, (*notes, f"review: {review.words()}"))
    if review.broken:
        kind, summary = VerdictKind.BUILD_FAILS, f"{_broken_words(review)}; head does build"
    elif errors:
        kind = VerdictKind.REVIEW_ERRORS
        summary = f"the review found {review.words()}; {_built_words(review)}; {UNTESTED}"
    else:
        kind = VerdictKind.PASS
        summary = f"{_built_words(review)}; the review found {review.words()}; {UNTESTED}"
    findings = (*_broken_findings(review), *errors)
    return Verdict(run=run, kind=kind, summary=summary, findings=findings, notes=notes)


def with_review(verdict: Verdict, review: Review) -> Verdict:
    """The verdict of tests, and what the review adds: a patch that does not build by itself outranks all of it."""
    notes = (f"review: {review.words()}", *verdict.notes, *review_notes(review))
    if not review.broken:
        return verdict.model_copy(update={"notes": notes})
    summary = f"{_broken_words(review)}; head does build, and of that: {verdict.summary}"
    findings = (*_broken_findings(review), *verdict.findings)
    return verdict.model_copy(
        update={"kind": VerdictKind.BUILD_FAILS, "summary": summary, "findings": findings, "notes": notes}
    )


def with_blame(verdict: Verdict, first: AppliedPatch, trees: Trees, posting: Posting) -> Verdict:
    """Name the first patch from which head stays broken in a verdict that says that head does not build."""
    blame = f"from {position(first, trees, posting)} on ({untagged(first.subject)})"
    findings = verdict.findings
    if findings:
        findings = (findings[0].model_copy(update={"where": first.message_id or findings[0].where}), *findings[1:])
    return verdict.model_copy(update={"summary": f"{verdict.summary}; {blame}", "findings": findings})


def position(patch: AppliedPatch, trees: Trees, posting: Posting) -> str:
    """`kernel patch 3/10`, `kernel part 4/9 patch 3/33`; for a commit fetched with git its place among the tree's."""
    for part in posting.parts:
        for mail in part.patches:
            if mail.message_id == patch.message_id:
                counter = "" if part.counter == "1/1" else f"part {part.counter} "
                return f"{part.component} {counter}patch {mail.number}/{len(part.patches)}"
    for tree in trees.trees:
        commits = [applied.commit for applied in tree.patches if not applied.merged]
        if patch.commit in commits:
            return f"{tree.component} commit {commits.index(patch.commit) + 1}/{len(commits)}"
    return f"commit {patch.commit[:12]}"


def review_notes(review: Review) -> tuple[str, ...]:
    """What was not looked at, and why."""
    skipped = tuple(f"without {tool}: {why}" for tool, why in review.skipped.items())
    reasons: dict[str, list[PatchReview]] = {}
    for patch in review.patches:
        if patch.build and (patch.build.state == "skipped" or patch.build.of_base):
            reasons.setdefault(patch.build.first_error(), []).append(patch)
    return (*skipped, *(f"{_patches(found)} not built: {why}" for why, found in reasons.items()))


def _patches(found: list[PatchReview]) -> str:
    return f"{found[0].name} was" if len(found) == 1 else f"{counted(len(found), 'patch')} were"


def _with_heads(heads: Sequence[Verdict], review: Review, notes: tuple[str, ...]) -> Verdict:
    """What does not build at head first, then what the builds of the patches and the reviewers say."""
    told = [finding for head in heads for finding in head.findings]
    said = [what for finding in told if (what := finding.what.partition(" does not build: ")[2])]
    broken = [  # the evidence for the same error need not be seen twice
        finding.model_copy(update={"detail": ""}) if any(words in finding.what for words in said) else finding
        for finding in _broken_findings(review)
    ]
    worst = next((head for head in heads if head.kind is VerdictKind.BUILD_FAILS), heads[0])
    at_fault = worst.kind is VerdictKind.BUILD_FAILS or bool(broken)
    return worst.model_copy(
        update={
            "kind": VerdictKind.BUILD_FAILS if at_fault else worst.kind,
            "summary": "; ".join(head.summary for head in heads),
            "findings": (*told, *broken, *_errors(review)),
            "notes": (*(note for head in heads for note in head.notes), *notes),
        }
    )


def _broken_words(review: Review) -> str:
    broken = review.broken
    if len(broken) == 1:
        return f"{broken[0].name} does not build on its own: {broken[0].build.first_error() if broken[0].build else ''}"
    names = ", ".join(patch.name for patch in broken[:_NAMED])
    more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    return f"{counted(len(broken), 'patch')} do not build on their own: {names}{more}"


def _built_words(review: Review) -> str:
    """`all 4 patches build one by one`, `2 of 4 patches build one by one, 1 changes nothing that is built`."""
    states = [patch.build.state if patch.build else "skipped" for patch in review.patches]
    built, unaffected, total = states.count("built"), states.count("not-affected"), len(states)
    if not built:
        return "no patch changes anything that is built" if unaffected and unaffected == total else "no patch was built"
    if total == 1:
        return "the patch builds"
    words = (
        f"all {total} patches build one by one" if built == total else f"{built} of {total} patches build one by one"
    )
    if unaffected:
        words += f", {unaffected} {'changes' if unaffected == 1 else 'change'} nothing that is built"
    left = total - built - unaffected
    return words + (f", {left} {'was' if left == 1 else 'were'} not built" if left else "")


def _broken_findings(review: Review) -> tuple[Finding, ...]:
    """Evidence goes with the patch that an error came with only."""
    found = []
    for patch in review.broken:
        if patch.build is not None:
            detail = "" if patch.build.why else patch.build.detail[:4096]
            what = f"{patch.name} does not build: {patch.build.first_error()}"
            found.append(Finding(what=what, where=patch.message_id or patch.commit, detail=detail, log=patch.build.log))
    return tuple(found)


def _errors(review: Review) -> tuple[Finding, ...]:
    """The findings that are errors, those of the series first. What the build says of a patch is said elsewhere."""
    found = [("", "", finding) for finding in review.findings]
    found += [(f"{p.name}: ", p.message_id or p.commit, finding) for p in review.patches for finding in p.remarks]
    return tuple(
        Finding(what=f"{name}{finding.words()}", where=where, detail=finding.detail[:4096])
        for name, where, finding in found
        if finding.severity is Severity.ERROR
    )

# SPDX-License-Identifier: GPL-2.0-or-later
"""What a review means: of a run that boots nothing, and for a run that does."""

from collections.abc import Sequence

from reviewbot.model.posting import Posting
from reviewbot.model.review import PatchRef, Review, ReviewFinding, Severity
from reviewbot.model.trees import AppliedPatch, Trees
from reviewbot.model.verdict import Finding, FindingKind, Verdict, VerdictKind
from reviewbot.model.words import split_place


def judge_review(run: str, review: Review, *, heads: Sequence[Verdict] = ()) -> Verdict:
    """The verdict of a run that only reviews.

    heads: the verdict on each component whose head does not build, blamed if possible. A patch that does not build:
    BUILD-FAILS. Else an error of any reviewer: REVIEW-ERRORS. Else PASS, if something was built, or if nothing that
    is built can change; INFRA if no patch could be built; REVIEWED if none was to be.
    """
    errors = _errors(review)
    if heads:
        return _with_heads(run, heads, review, errors)
    if review.broken:
        kind = VerdictKind.BUILD_FAILS
    elif errors:
        kind = VerdictKind.REVIEW_ERRORS
    elif not any(patch.build for patch in review.patches):
        kind = VerdictKind.REVIEWED
    else:
        kind = VerdictKind.INFRA if _nothing_built(review) else VerdictKind.PASS
    return Verdict(run=run, kind=kind, findings=(*_broken(review), *errors))


def with_review(verdict: Verdict, review: Review) -> Verdict:
    """The verdict of tests, and what the review adds: a patch that does not build by itself outranks all of it."""
    if not review.broken:
        return verdict
    return verdict.model_copy(
        update={"kind": VerdictKind.BUILD_FAILS, "findings": (*_broken(review), *verdict.findings)}
    )


def with_blame(verdict: Verdict, first: AppliedPatch, trees: Trees, posting: Posting) -> Verdict:
    """Name the first patch from which head stays broken in a verdict that says that head does not build."""
    if not verdict.findings:
        return verdict
    blamed = verdict.findings[0].model_copy(update={"patch": patch_ref(first, trees, posting)})
    return verdict.model_copy(update={"findings": (blamed, *verdict.findings[1:])})


def patch_ref(patch: AppliedPatch, trees: Trees, posting: Posting) -> PatchRef:
    """Which patch of the posting a commit is; for one fetched with git its place among the tree's."""
    known = {"message_id": patch.message_id, "commit": patch.commit, "subject": patch.subject}
    for part in posting.parts:
        for mail in part.patches:
            if mail.message_id == patch.message_id:
                return PatchRef(
                    component=part.component, part=part.counter, number=mail.number, total=len(part.patches), **known
                )
    for tree in trees.trees:
        commits = [applied.commit for applied in tree.patches if not applied.merged]
        if patch.commit in commits:
            return PatchRef(
                component=tree.component, number=commits.index(patch.commit) + 1, total=len(commits), **known
            )
    return PatchRef(component="", number=1, total=1, **known)


def _nothing_built(review: Review) -> bool:
    """Whether patches should have been built and none could be."""
    states = [patch.build.state for patch in review.patches if patch.build]
    return "built" not in states and bool({"skipped", "failed"} & set(states))


def _with_heads(run: str, heads: Sequence[Verdict], review: Review, errors: tuple[Finding, ...]) -> Verdict:
    """What does not build at head first, then what the builds of the patches and the reviewers say."""
    told = [finding for head in heads for finding in head.findings]
    said = {(finding.file, finding.said) for finding in told}
    broken = [  # the evidence for the same error need not be seen twice
        finding.model_copy(update={"detail": ""}) if (finding.file, finding.said) in said else finding
        for finding in _broken(review)
    ]
    worst = next((head for head in heads if head.kind is VerdictKind.BUILD_FAILS), heads[0])
    at_fault = worst.kind is VerdictKind.BUILD_FAILS or bool(broken)
    return Verdict(
        run=run,
        kind=VerdictKind.BUILD_FAILS if at_fault else worst.kind,
        findings=(*told, *broken, *errors),
        hint=worst.hint,
    )


def _broken(review: Review) -> tuple[Finding, ...]:
    """Evidence goes with the patch that an error came with only."""
    found = []
    for patch in review.broken:
        if build := patch.build:
            file, line = split_place(build.place)
            found.append(
                Finding(
                    kind=FindingKind.PATCH,
                    component=patch.component,
                    patch=patch.ref,
                    file=file,
                    line=line,
                    said=build.error or build.why,
                    came_with=build.came_with,
                    detail=build.detail[:4096] if build.own_error else "",
                    log=build.log,
                )
            )
    return tuple(found)


def _errors(review: Review) -> tuple[Finding, ...]:
    """The findings that are errors, those of the series first. What the build says of a patch is said elsewhere."""
    found = [_remark(None, one) for one in review.findings if one.severity is Severity.ERROR]
    for patch in review.patches:
        found += [_remark(patch.ref, one) for one in patch.remarks if one.severity is Severity.ERROR]
    return tuple(found)


def _remark(patch: PatchRef | None, one: ReviewFinding) -> Finding:
    return Finding(
        kind=FindingKind.REMARK,
        severity=one.severity,
        component=patch.component if patch else "",
        patch=patch,
        file=one.file,
        line=one.line,
        tool=one.tool,
        said=one.message,
        detail=one.detail[:4096],
    )

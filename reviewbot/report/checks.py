# SPDX-License-Identifier: GPL-2.0-or-later
"""checks.json: what is said of each patch, for Patchwork."""

from collections.abc import Iterator

from reviewbot.model.checks import PatchCheck, PatchChecks
from reviewbot.model.posting import Patch
from reviewbot.model.review import PatchReview, Severity
from reviewbot.model.verdict import ExitStatus, FindingKind, VerdictKind
from reviewbot.model.words import one_line
from reviewbot.report.record import Record
from reviewbot.report.remarks import build_words, counts
from reviewbot.report.words import headline, sentence

_LONG = 250


def checks(record: Record) -> PatchChecks:
    """Two results per patch that was tested and reviewed. INFRA and BLOCKED say nothing about any patch."""
    assert record.verdict
    silent = record.verdict.kind.exit_status in (ExitStatus.INFRA, ExitStatus.BLOCKED)
    found = () if silent or not record.posting.sent else (*_of_tests(record), *_of_review(record))
    return PatchChecks(run=record.run, checks=found)


def _of_tests(record: Record) -> Iterator[PatchCheck]:
    """The verdict, at each patch; what comes from one patch fails that one and warns at the others."""
    verdict = record.verdict
    assert verdict
    refused = verdict.kind in (VerdictKind.DOES_NOT_APPLY, VerdictKind.BUILD_FAILS)
    if record.results is None and not refused:
        return
    said = one_line(f"{verdict.kind}: {headline(record)}", _LONG)
    blamed = dict[str, str]()
    for finding in verdict.findings:
        for guilty in (*finding.suspects, *([finding.patch] if finding.patch else [])):
            if finding.kind is not FindingKind.REMARK:
                words = one_line(f"{verdict.kind}: {sentence(finding)}", _LONG)
                blamed.setdefault(guilty.message_id, words)
    for patch in _patches(record):
        if verdict.kind.exit_status is ExitStatus.PASS:
            yield PatchCheck(
                message_id=patch.message_id,
                context="reviewbot-tests",
                state="success",
                description=said,
                target_url=record.url,
            )
            continue
        uncertain = verdict.kind is VerdictKind.FAILURES or (blamed and patch.message_id not in blamed)
        yield PatchCheck(
            message_id=patch.message_id,
            context="reviewbot-tests",
            state="warning" if uncertain else "fail",
            description=blamed.get(patch.message_id, said),
            target_url=record.url,
        )


def _of_review(record: Record) -> Iterator[PatchCheck]:
    """How the patch builds, and what was remarked."""
    for patch in record.review.patches if record.review else ():
        if patch.message_id and not patch.prerequisite:
            said = "; ".join(filter(None, (build_words(patch.build), counts(patch) or "no remarks")))
            yield PatchCheck(
                message_id=patch.message_id,
                context="reviewbot-review",
                state=_state(patch),
                description=one_line(said, _LONG),
                target_url=record.url,
            )


def _state(patch: PatchReview) -> str:
    if patch.broken or any(one.severity is Severity.ERROR for one in patch.remarks):
        return "fail"
    warned = any(one.severity is Severity.WARNING for one in patch.remarks)
    return "warning" if warned or (patch.build and patch.build.warnings) else "success"


def _patches(record: Record) -> Iterator[Patch]:
    """Those of the posting that were applied, or were to be."""
    rfc = record.plan.rfc if record.plan else True
    return (patch for part in record.posting.parts if rfc or not part.rfc for patch in part.patches)

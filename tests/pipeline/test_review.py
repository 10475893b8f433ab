# SPDX-License-Identifier: GPL-2.0-or-later
"""The review as the pipeline makes it: real mails, trees and reviewers; builds that only tell what they were asked."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from reviewbot import build, lab, pipeline, report, runner
from reviewbot.build.errors import BaseFails, BuildFails, FirstError
from reviewbot.config import Reviewer, Site
from reviewbot.intake import Ask
from reviewbot.lab import Accelerator
from reviewbot.model.artifacts import Artifact, Artifacts, Fact
from reviewbot.model.errors import InfraError, UsageError
from reviewbot.model.progress import silent
from reviewbot.model.results import LegResult, Outcome, TestResult
from reviewbot.model.review import PatchBuild
from reviewbot.model.stack import LegSpec, Source, Stack
from reviewbot.model.trees import Trees
from reviewbot.model.verdict import ExitStatus, SaidVerdict, VerdictKind
from reviewbot.pipeline import test as order
from reviewbot.pipeline.request import HowToRun, Request, TestRequest
from reviewbot.store import Runs
from tests.mails import TOP, mbox, posting
from tests.repos import make_component, stack_of

COMPONENTS = ("kernel", "libfuse")
OF_BASE = "of base"
"""In place of the subject of the patch that brought an error."""


class Builds:
    """In place of the compilers: patches that end as in `broken` fail, and the heads of `heads`."""

    def __init__(self) -> None:
        self.broken: dict[str, str] = {}
        """Subject's end -> which patch brought the error; empty: this very one."""
        self.heads: tuple[str, ...] = ()
        self.base_fails = False
        """Whether the bases of these have the same error."""
        self.trouble: InfraError | None = None
        self.asked: list[tuple[str, ...]] = []
        """Components whose patches were built, per call."""

    def components(
        self, trees: Trees, stack: Stack, *, kinds: tuple[str, ...], logs: Path, **_: Any
    ) -> tuple[Artifacts, tuple[BuildFails | BaseFails, ...]]:
        if self.trouble:
            raise self.trouble
        return Artifacts(), tuple(self.failure(name, logs) for name in self.heads if name in kinds)

    def everything(self, trees: Trees, stack: Stack, *, kinds: tuple[str, ...], logs: Path, **_: Any) -> Artifacts:
        for name in self.heads:
            raise self.failure(name, logs)
        facts: dict[str, Fact] = {"release": "6.12.0"}
        needed = ("kernel", "guest", "payload")  # of any machine
        return Artifacts(artifacts={kind: Artifact(kind=kind, key=kind, path="/x", facts=facts) for kind in needed})

    def came_with(self, end: str | None) -> str:
        why = self.broken.get(end or "", "")
        return "" if why == OF_BASE else why

    def failure(self, name: str, logs: Path) -> BuildFails | BaseFails:
        error = FirstError("no such thing", "lib/fuse.c:2", "the context")
        if self.base_fails:
            return BaseFails(name, error, error, logs / f"{name}.log", logs / f"{name}-base.log")
        return BuildFails(name, error, logs / f"{name}.log")

    def patches(
        self, trees: Trees, stack: Stack, *, built: Mapping[str, Artifact], logs: Path, **_: Any
    ) -> dict[str, PatchBuild]:
        self.asked.append(tuple(tree.component for tree in trees.trees if tree.patches))
        found = {}
        for patch in (patch for tree in trees.trees for patch in tree.patches):
            end = next((end for end in self.broken if patch.subject.endswith(end)), None)
            (logs / f"{patch.commit}.log").write_text("said")
            found[patch.commit] = PatchBuild(
                commit=patch.commit,
                state="built" if end is None else "failed",
                seconds=1.0,
                compiled=1,
                error="" if end is None else "no such thing",
                place="" if end is None else "lib/fuse.c:2",
                of_base=self.broken.get(end or "") == OF_BASE,
                came_with=self.came_with(end),
                log=f"logs/review/{patch.commit}.log",
            )
        return found


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    found = Builds()
    monkeypatch.setattr(build, "build_components", found.components)
    monkeypatch.setattr(build, "build_all", found.everything)
    monkeypatch.setattr(build, "build_patches", found.patches)
    return found


class User:
    """A user with two small repositories."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sources = {}
        for component in COMPONENTS:
            make_component(folder / component, component)
            sources[component] = Source(provider="git", url=str(folder / component), ref="master")
        self.stack = stack_of(sources)
        self.site = Site()

    def request(self, mails: list[bytes] | None, tests: TestRequest, **how: Any) -> Request:
        path = self.folder / "thread.mbox"
        path.write_bytes(mbox(posting(COMPONENTS) if mails is None else mails))
        return Request(Ask(mbox=(path,)), tests, HowToRun(**how))

    def review(self, mails: list[bytes] | None = None, **how: Any) -> pipeline.Outcome:
        return pipeline.review_series(self.request(mails, TestRequest(), **how), self.stack, self.site, silent)

    def test(self, **how: Any) -> pipeline.Outcome:
        tests = TestRequest(legs=("ext4",), suites=("smoke",))
        return pipeline.apply_and_test(self.request(None, tests, **how), self.stack, self.site, silent)


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    for name in ("CACHE", "DATA"):
        monkeypatch.setenv(f"REVIEWBOT_{name}", str(tmp_path / name.lower()))
    return User(tmp_path)


def verdict_of(outcome: pipeline.Outcome) -> SaidVerdict:
    return report.said(outcome.record)


def test_a_review_leaves_its_reports_and_says_that_nothing_was_tested(user: User, builds: Builds) -> None:
    outcome = user.review()
    verdict = verdict_of(outcome)
    assert (verdict.kind, verdict.summary.partition(";")[0]) == (VerdictKind.PASS, "all 4 patches build individually")
    assert "nothing was booted or tested" in verdict.summary
    names = {path.name for path in outcome.folder.path.iterdir()}
    assert names == {
        "mails.mbox",
        "message-ids",
        "plan.json",
        "trees.json",
        "review.json",
        "verdict.json",
        "summary.md",
        "reply.eml",
        "report.json",
        "report.html",
        "junit.xml",
        "kcidb.json",
        "checks.json",
        "b4-review.txt",
        "logs",
        "run.json",
        ".lock",
    }
    plan = json.loads((outcome.folder.path / "plan.json").read_bytes())
    assert (plan["legs"], plan["suites"]) == ([], [])
    assert outcome.record.review is not None
    assert [(p.component, p.number, p.total) for p in outcome.record.review.patches] == [
        ("kernel", 1, 2),
        ("kernel", 2, 2),
        ("libfuse", 1, 2),
        ("libfuse", 2, 2),
    ]
    command = (outcome.folder.path / "reply.eml").read_text().partition("To reproduce:")[2].partition("--\n")[0]
    assert command.split()[:2] == ["reviewbot", "review"] and TOP in command.split()


def test_every_mail_of_the_posting_leads_to_the_run(user: User, builds: Builds) -> None:
    outcome = user.review()
    runs = Runs(user.folder / "data" / "runs")
    for message_id in (TOP, "kernel@example.org", "kernel.2@example.org", "libfuse@example.org"):
        assert [run.id for run in runs.about(message_id)] == [outcome.folder.id]
    assert list(runs.about("other@example.org")) == []


def test_a_patch_in_the_middle_that_does_not_build_is_the_series_fault(user: User, builds: Builds) -> None:
    builds.broken = {"kernel: step 1": ""}
    verdict = verdict_of(user.review())
    assert (verdict.kind, verdict.kind.exit_status) == (VerdictKind.BUILD_FAILS, ExitStatus.SERIES)
    assert verdict.summary == (
        "kernel patch 1/2 does not build on its own: lib/fuse.c:2: no such thing; head builds: this breaks git bisect"
    )


def test_when_head_does_not_build_the_first_bad_patch_is_named_and_all_are_reviewed(user: User, builds: Builds) -> None:
    builds.heads = ("libfuse",)
    builds.broken = {"libfuse: step 2": ""}
    outcome = user.review()
    verdict = verdict_of(outcome)
    assert verdict.kind is VerdictKind.BUILD_FAILS
    assert verdict.summary == (
        "libfuse does not build: lib/fuse.c:2: no such thing; since libfuse patch 2/2 (libfuse: step 2)"
    )
    blamed = verdict.findings[0].patch
    assert blamed is not None and blamed.message_id == "libfuse.2@example.org"
    assert outcome.record.review is not None and len(outcome.record.review.patches) == 4


def test_the_same_series_is_not_reviewed_twice(user: User, builds: Builds) -> None:
    first = user.review()
    second = user.review()
    assert len(builds.asked) == 1
    assert first.record.review is not None and second.record.review is not None
    assert second.record.review.patches == first.record.review.patches
    assert second.record.review.run == second.folder.id != first.folder.id
    log = second.record.review.patches[0].build
    assert log is not None and (second.folder.path / log.log).read_text() == "said"
    user.review(fresh=True)
    assert len(builds.asked) == 2


def test_other_words_in_a_mail_are_another_review(user: User, builds: Builds) -> None:
    user.review()
    user.review([m.replace(b"Do it.", b"Do it now.") for m in posting(COMPONENTS)])
    assert len(builds.asked) == 2


def test_another_reviewer_is_another_review(user: User, builds: Builds) -> None:
    program = user.folder / "reviewer"
    program.write_text("#!/bin/sh\necho '[]'\n")
    user.review()
    user.site = Site(reviewers=(Reviewer(name="house", path=str(program)),))
    user.review()
    program.write_text("#!/bin/sh\necho '[ ]'\n")
    user.review()
    assert len(builds.asked) == 3


def test_without_builds_no_patch_is_built(user: User, builds: Builds) -> None:
    verdict = verdict_of(user.review(build=False))
    assert builds.asked == []
    assert verdict.kind is VerdictKind.REVIEWED and verdict.summary.startswith("no patch was built")


def test_without_builds_a_missing_build_root_is_no_obstacle(user: User, builds: Builds) -> None:
    builds.trouble = InfraError("no mirror answers")
    assert verdict_of(user.review(build=False)).kind is VerdictKind.REVIEWED
    assert verdict_of(user.review()).kind is VerdictKind.INFRA


def test_an_incomplete_posting_is_blocked(user: User, builds: Builds) -> None:
    outcome = user.review([m for m in posting(COMPONENTS) if b"Message-ID: <libfuse.2@" not in m])
    assert verdict_of(outcome).kind is VerdictKind.BLOCKED
    assert outcome.record.review is None


def test_a_patch_that_does_not_apply_is_named(user: User, builds: Builds) -> None:
    outcome = user.review([m.replace(b"\n old\n", b"\n ancient\n") for m in posting(COMPONENTS)])
    assert verdict_of(outcome).kind is VerdictKind.DOES_NOT_APPLY
    assert builds.asked == []


class Tests:
    """In place of the machines."""

    __test__ = False

    def __init__(self, outcome: Outcome) -> None:
        self.outcome, self.ran = outcome, 0

    def legs(self, legs: Sequence[LegSpec], *_: object) -> tuple[LegResult, ...]:
        self.ran += len(legs)
        result = TestResult(suite="smoke", test="rename", outcome=self.outcome)
        return tuple(LegResult(leg=leg.name, available=True, tests=(result,), accelerator="kvm") for leg in legs)


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Tests:
    found = Tests(Outcome.PASS)
    monkeypatch.setattr(lab, "qemu_version", lambda: "7.2")
    monkeypatch.setattr(lab, "choose_accelerator", lambda *_, **__: Accelerator("kvm", "it works"))
    monkeypatch.setattr(runner, "run_legs", found.legs)
    return found


def test_beside_tests_the_review_is_a_note_and_a_section(user: User, builds: Builds, machines: Tests) -> None:
    outcome = user.test()
    verdict = verdict_of(outcome)
    assert (verdict.kind, machines.ran) == (VerdictKind.PASS, 1)
    assert verdict.notes[0].startswith("review: no errors")
    assert "## Review" in (outcome.folder.path / "summary.md").read_text()
    assert (outcome.folder.path / "review.json").exists()


def test_a_run_that_was_cut_gets_its_verdict_when_its_shards_are_merged(
    user: User, builds: Builds, machines: Tests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cut"
    outcome = user.test(shards=2, shard_dir=folder)
    assert (outcome.record.verdict, machines.ran) == (None, 1)
    assert not (outcome.folder.path / "verdict.json").exists()
    monkeypatch.setenv("REVIEWBOT_DATA", str(tmp_path / "another host"))
    merged = pipeline.merge_shards(folder, [], Site())
    assert verdict_of(merged).kind is VerdictKind.PASS and merged.record.review is not None
    assert [run.id for run in Runs(tmp_path / "another host" / "runs").list()] == [outcome.folder.id]
    reply = (merged.folder.path / "reply.eml").read_text()
    assert "In-Reply-To: <" in reply and (merged.folder.path / "summary.md").exists()
    assert verdict_of(pipeline.merge_shards(folder, [], Site())) == verdict_of(merged), "and again"
    with pytest.raises(UsageError, match="is not a folder of shards"):
        pipeline.merge_shards(tmp_path, [], Site())


def test_a_patch_that_does_not_build_stops_no_test(user: User, builds: Builds, machines: Tests) -> None:
    builds.broken = {"kernel: step 1": ""}
    outcome = user.test()
    assert (verdict_of(outcome).kind, machines.ran) == (VerdictKind.BUILD_FAILS, 1)
    assert outcome.record.results is not None


def test_no_review_when_none_is_wanted(user: User, builds: Builds, machines: Tests) -> None:
    outcome = user.test(review=False)
    assert builds.asked == [] and outcome.record.review is None
    assert verdict_of(outcome).kind is VerdictKind.PASS


def test_a_review_that_cannot_be_made_stops_no_test(
    user: User, builds: Builds, machines: Tests, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise InfraError("bubblewrap is gone")

    monkeypatch.setattr(order, "review_posting", fail)
    verdict = verdict_of(user.test())
    assert (verdict.kind, machines.ran) == (VerdictKind.PASS, 1)
    assert verdict.notes[-1] == "the patches were not reviewed: bubblewrap is gone"


def test_a_head_that_does_not_build_is_blamed_on_a_patch_of_that_component_only(
    user: User, builds: Builds, machines: Tests
) -> None:
    builds.heads = ("libfuse",)
    builds.broken = {"libfuse: step 1": "", "libfuse: step 2": "libfuse: step 1"}
    outcome = user.test()
    assert builds.asked == [("libfuse",)]
    assert machines.ran == 0 and outcome.record.review is None
    assert verdict_of(outcome).summary.endswith("; since libfuse patch 1/2 (libfuse: step 1)")
    builds.asked.clear()
    assert "from libfuse" not in verdict_of(user.test(review=False)).summary
    assert builds.asked == []


def test_a_head_whose_base_does_not_build_either_says_nothing_about_the_series(
    user: User, builds: Builds, machines: Tests
) -> None:
    builds.heads = ("libfuse",)
    builds.base_fails = True
    for verdict in (verdict_of(user.test()), verdict_of(user.review())):
        assert verdict.kind is VerdictKind.INFRA
        assert "base has the same error" in verdict.summary


def test_an_error_of_the_reviews_base_that_heads_build_does_not_have_excuses_no_series(
    user: User, builds: Builds, machines: Tests
) -> None:
    builds.heads = ("libfuse",)
    builds.broken = {"libfuse: step 1": OF_BASE, "libfuse: step 2": OF_BASE}
    assert verdict_of(user.test()).kind is VerdictKind.BUILD_FAILS
    assert verdict_of(user.review()).kind is VerdictKind.BUILD_FAILS


def test_an_exception_that_nobody_expected_is_infrastructure_and_the_run_keeps_what_it_knows(
    user: User, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(build, "build_components", fail)
    outcome = user.review()
    verdict = verdict_of(outcome)
    assert (verdict.kind, verdict.kind.exit_status) == (VerdictKind.INFRA, ExitStatus.INFRA)
    assert "RecursionError: too deep" in verdict.summary
    (finding,) = verdict.findings
    assert "Traceback" in (outcome.folder.path / finding.log).read_text()
    assert outcome.record.trees is not None and (outcome.folder.path / "trees.json").exists()

# SPDX-License-Identifier: GPL-2.0-or-later
"""The legs that a package mirror cannot feed: real fuse4fs, lklfuse and fstests, when the site file names sources.

A FUSE server may fail a check or a test; what must hold is that each one gets a judgement that can be believed:
nothing is lost to the lab, and what cannot fail on any sane server does not.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from reviewbot import runner, suites
from reviewbot.build import build_all
from reviewbot.config import load_site, load_stack
from reviewbot.host.paths import cache_dir
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.build import Build
from reviewbot.model.lock import Conditions
from reviewbot.model.progress import silent
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.stack import Stack
from reviewbot.model.trees import Trees
from reviewbot.runner import Context, Tests
from reviewbot.store import Durations, Runs, Store, TestSeconds
from reviewbot.suites import limits
from reviewbot.trees import resolve
from tests.faults import fault
from tests.machines import TCG, DemoRun

pytestmark = pytest.mark.vm
SITE = load_site()
TESTS = "generic/001 generic/005 generic/006 generic/013"
SOUND = ("mkfs", "mount", "directories", "rename", "xattr", "mmap", "fsync", "fio")
"""Checks that no released server fails."""


def has(*components: str) -> pytest.MarkDecorator:
    missing = [c for c in components if c not in SITE.components]
    return pytest.mark.skipif(bool(missing), reason=f"the site file names no source for {', '.join(missing)}")


@dataclass(frozen=True, slots=True)
class Lab:
    """The site's whole stack, built."""

    stack: Stack
    artifacts: Artifacts
    folder: Path

    def run(self, leg: str, wanted: Sequence[str], tests: str = TESTS) -> LegResult:
        context = Context(
            build=Build(trees=Trees(trees=()), artifacts=self.artifacts),
            conditions=Conditions(legs=(), disks=suites.disks(2), memory=2048, cpus=2),
            tests=Tests(tests, fresh=True),
            accelerator=TCG,
            store=Store(cache_dir()),
            run=Runs(self.folder).create(),
            durations=Durations(self.folder / "durations.json"),
            progress=silent,
        )
        (result,) = runner.run_legs([self.stack.leg(leg)], wanted, context)
        return result


@pytest.fixture(scope="module")
def site_lab(demo_run: DemoRun, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The kernel is the demo's, so that none has to be built for this."""
    assert demo_run.status == 0
    folder = tmp_path_factory.mktemp("site")
    stack = load_stack("fuse", SITE)
    kinds = [c.name for c in stack.components if c.name in SITE.components and c.name != "kernel"]
    trees = resolve(None, {}, stack, components=kinds, cache=cache_dir())
    trees = trees.model_copy(
        update={"trees": (*(t for t in demo_run.lock.trees.trees if t.component == "kernel"), *trees.trees)}
    )
    artifacts = build_all(
        trees, stack, store=Store(cache_dir()), site=SITE, kinds=["kernel", *kinds], logs=folder / "logs"
    )
    return Lab(stack, artifacts, folder)


def judged(result: LegResult) -> dict[str, Outcome]:
    """Outcome per test; fails when the lab lost any of them or a reason is missing."""
    assert result.available, result.reason
    lost = [t for t in result.tests if t.outcome in (Outcome.MISS, Outcome.INFRA)]
    assert [(t.test, t.outcome, t.reason) for t in lost] == []
    assert [t.test for t in result.tests if t.outcome is not Outcome.PASS and not t.reason] == []
    return {test.test: test.outcome for test in result.tests}


@has("e2fsprogs")
@pytest.mark.parametrize("leg", ["fuse2fs", "fuse4fs"])
def test_smoke_on_libext2fs_servers(site_lab: Lab, leg: str) -> None:
    if reason := runner.missing(site_lab.stack.leg(leg), site_lab.artifacts):
        pytest.skip(reason)
    outcomes = judged(site_lab.run(leg, ["smoke"]))
    assert {t: o for t, o in outcomes.items() if o not in (Outcome.PASS, Outcome.NOTRUN, Outcome.KNOWN)} == {}
    assert {outcomes[check] for check in SOUND} == {Outcome.PASS}


@has("lkl", "e2fsprogs")
def test_smoke_on_lklfuse(site_lab: Lab) -> None:
    if reason := runner.missing(site_lab.stack.leg("lklfuse"), site_lab.artifacts):
        pytest.skip(reason)
    outcomes = judged(site_lab.run("lklfuse", ["smoke"]))
    assert {outcomes[check] for check in SOUND} == {Outcome.PASS}


@has("fstests", "e2fsprogs")
@pytest.mark.parametrize("leg", ["ext4", "fuse2fs", "fuse4fs"])
def test_a_handful_of_fstests(site_lab: Lab, leg: str) -> None:
    if reason := runner.missing(site_lab.stack.leg(leg), site_lab.artifacts, ["fstests"]):
        pytest.skip(reason)
    result = site_lab.run(leg, ["fstests"])
    outcomes = judged(result)
    assert set(outcomes) == set(TESTS.split())
    assert outcomes["generic/001"] is Outcome.PASS
    for test in result.tests:
        assert "output.txt" in [p.name for p in (site_lab.folder / "latest" / test.log).iterdir()]


@fault(
    "fstests' own `selftest/*`: pass, other output, _fail, skip, crash, hang, flaky",
    collected="what each of them leaves",
    outcome="PASS, FAIL, FAIL, NOTRUN, CRASH, HANG, PASS or FAIL",
    machine="is replaced after the crash",
)
@has("fstests", "e2fsprogs")
def test_fstests_own_tests_of_a_runner_have_their_designed_outcomes(
    site_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def soon(known: TestSeconds | None, groups: Collection[str], soak: int) -> float:
        """006 sleeps for days."""
        return 4.0 if "dangerous_selftest" in groups else limits.limit(known, groups, soak)

    monkeypatch.setattr("reviewbot.suites.fstests.limit", soon)
    result = site_lab.run("fuse2fs", ["fstests"], "selftest/*")
    found = {test.test.removeprefix("selftest/"): (test.outcome, test.reason) for test in result.tests}
    assert found["001"] == (Outcome.PASS, "")
    assert found["002"] == (Outcome.FAIL, "unexpected output: I am intentionally broken")
    assert found["003"][0] is Outcome.FAIL and "I have _fail'ed" in found["003"][1]
    assert found["004"] == (Outcome.NOTRUN, "Always skip me")
    assert found["005"][0] is Outcome.CRASH and "sysrq triggered crash" in found["005"][1]
    assert found["006"][0] is Outcome.HANG
    assert found["007"] in ((Outcome.PASS, ""), (Outcome.FAIL, "unexpected output: Silence is flakey"))
    assert len(found) == 7 and not result.reason


@has("fstests", "lkl", "e2fsprogs")
def test_fstests_reach_lklfuse(site_lab: Lab) -> None:
    if reason := runner.missing(site_lab.stack.leg("lklfuse"), site_lab.artifacts, ["fstests"]):
        pytest.skip(reason)
    outcomes = judged(site_lab.run("lklfuse", ["fstests"]))
    assert set(outcomes) == set(TESTS.split())
    # Old releases leave deleted files behind, and fail each test for that; none may crash or hang.
    assert set(outcomes.values()) <= {Outcome.PASS, Outcome.FAIL, Outcome.NOTRUN}


@has("e2fsprogs")
def test_iomap_is_unavailable_with_a_reason_where_the_stack_has_none(site_lab: Lab) -> None:
    if all(site_lab.artifacts.fact(name) for name in site_lab.stack.leg("fuse4fs-iomap").requires):
        pytest.skip("this stack has iomap")
    result = site_lab.run("fuse4fs-iomap", ["smoke"])
    assert not result.available and "iomap" in result.reason

# SPDX-License-Identifier: GPL-2.0-or-later
"""What the pipeline decides before anything is built."""

import shutil
from pathlib import Path

import pytest

from reviewbot import pipeline, report
from reviewbot.build.components import RECIPES
from reviewbot.config import Site, load_stack
from reviewbot.host.process import ToolMissing
from reviewbot.intake import Ask
from reviewbot.model.errors import Blocked, UsageError
from reviewbot.model.plan import SUITES, Plan
from reviewbot.model.posting import Problem
from reviewbot.model.progress import Event, silent
from reviewbot.model.verdict import ExitStatus, Verdict, VerdictKind
from reviewbot.pipeline import apply_and_test, make_plan
from reviewbot.pipeline import test as order
from reviewbot.pipeline.request import Request, TestRequest, components_of
from reviewbot.pipeline.run import Job, check_complete
from reviewbot.report import Record
from reviewbot.store import RunFolder, RunGone
from tests.mails import TOP, diff, mail, mbox, posting

STACK = load_stack()
LEGS = STACK.default_legs


def request_for(
    folder: Path,
    mails: list[bytes] | None = None,
    *,
    legs: tuple[str, ...] = (),
    suites: tuple[str, ...] = SUITES,
    tests: str = "",
    bases: dict[str, str] | None = None,
    rfc: bool = True,
) -> Request:
    path = folder / "thread.mbox"
    path.write_bytes(mbox(posting() if mails is None else mails))
    series = Ask(mbox=(path,), bases=bases or {}, rfc=rfc)
    return Request(series, TestRequest(legs=legs, suites=suites, tests=tests))


def planned(request: Request) -> Plan:
    return make_plan(request, STACK, Site(), silent)[0]


def test_a_plan_without_wishes_has_all_legs_both_suites_and_the_stacks_tests(tmp_path: Path) -> None:
    found = planned(request_for(tmp_path))
    assert [leg.leg for leg in found.legs] == list(LEGS)
    assert found.suites == ("smoke", "fstests")
    assert found.tests == STACK.default_tests
    assert found.posting.top == TOP
    assert [source.component for source in found.sources] == [c.name for c in STACK.components]
    assert all(leg.why and leg.needs for leg in found.legs)


def test_wishes_are_in_the_plan(tmp_path: Path) -> None:
    wishes = request_for(
        tmp_path, legs=("lklfuse", "ext4"), suites=("smoke",), tests="-g quick", bases={"kernel": "v6.12"}
    )
    found = planned(wishes)
    assert [leg.leg for leg in found.legs] == ["lklfuse", "ext4"]
    assert (found.suites, found.tests) == (("smoke",), "-g quick")
    (kernel,) = (source for source in found.sources if source.component == "kernel")
    assert (kernel.base, kernel.why) == ("v6.12", "named by --base")


def test_an_unknown_leg_is_the_users_mistake_and_the_known_ones_are_listed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="stack fuse has no leg ext5") as caught:
        planned(request_for(tmp_path, legs=("ext4", "ext5")))
    assert caught.value.hint == f"did you mean ext4? legs: {', '.join(leg.name for leg in STACK.legs)}"
    assert caught.value.exit_status is ExitStatus.USAGE


def test_an_unknown_suite_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no suite ltp") as caught:
        planned(request_for(tmp_path, suites=("smoke", "ltp")))
    assert caught.value.hint == "suites: smoke, fstests, bench"


def test_a_base_for_an_unknown_component_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--base: no such component linux") as caught:
        planned(request_for(tmp_path, bases={"linux": "master"}))
    assert "kernel" in caught.value.hint


def test_neither_a_message_id_nor_a_mailbox_is_the_users_mistake() -> None:
    with pytest.raises(UsageError, match="neither a Message-ID nor --mbox"):
        planned(Request())


def test_progress_says_what_the_posting_has(tmp_path: Path) -> None:
    events: list[Event] = []
    make_plan(request_for(tmp_path, posting(("kernel",), patches=1)), STACK, Site(), events.append)
    assert [(event.step, event.state, event.text) for event in events] == [
        ("intake", "start", ""),
        ("intake", "done", "1 part, 1 patch"),
    ]


RFC = [
    mail(TOP, "[PATCHBLIZZARD v2] several things at once"),
    mail("k@example.org", "[PATCHSET v2 1/1] kernel: change it", parent=TOP),
    mail("k.1@example.org", "[PATCH 1/1] kernel: step 1", diff("fs/fuse/file.c"), parent="k@example.org"),
    mail("l@example.org", "[PATCHSET RFC v2 1/1] libfuse: change it", parent=TOP),
    mail("l.1@example.org", "[PATCH RFC 1/1] libfuse: step 1", diff("lib/fuse.c"), parent="l@example.org"),
]


@pytest.mark.parametrize("rfc", [True, False])
def test_a_plan_tells_rfc_parts_from_others_and_whether_they_are_applied(tmp_path: Path, rfc: bool) -> None:
    found = planned(request_for(tmp_path, RFC, rfc=rfc))
    assert found.rfc is rfc
    assert {part.component: part.rfc for part in found.posting.parts} == {"kernel": False, "libfuse": True}
    assert len(found.posting.component_parts("libfuse", rfc=rfc)) == int(rfc)
    assert len(found.posting.component_parts("kernel", rfc=rfc)) == 1


def test_what_an_rfc_part_lacks_hinders_nobody_who_leaves_it_out(tmp_path: Path) -> None:
    mails = [m.replace(b"[PATCH RFC 1/1]", b"[PATCH RFC 1/2]") for m in RFC]
    blocking = {
        rfc: [p.kind for p in planned(request_for(tmp_path, mails, rfc=rfc)).posting.problems if p.blocking]
        for rfc in (True, False)
    }
    assert blocking == {True: ["missing-patches"], False: []}


def test_a_posting_that_is_all_rfc_must_be_asked_for(tmp_path: Path) -> None:
    mails = [m.replace(b"[PATCHSET v2", b"[PATCHSET RFC v2") for m in RFC]
    with pytest.raises(UsageError, match="all of this posting is RFC") as caught:
        planned(request_for(tmp_path, mails, rfc=False))
    assert "--rfc" in caught.value.hint
    assert len(planned(request_for(tmp_path, mails, rfc=True)).posting.parts) == 2


def test_a_posting_without_blocking_problems_is_complete(tmp_path: Path) -> None:
    found = planned(request_for(tmp_path)).posting
    check_complete(found)
    check_complete(found.model_copy(update={"problems": (Problem(kind="stray-patch", message="a reply"),)}))


def test_the_first_blocking_problem_is_said_and_the_others_are_counted(tmp_path: Path) -> None:
    found = planned(request_for(tmp_path)).posting
    problems = [Problem(kind="missing-patches", message=f"part {n} lacks patch 2", blocking=True) for n in (1, 2, 3)]
    with pytest.raises(Blocked) as caught:
        check_complete(found.model_copy(update={"problems": (Problem(kind="x", message="harmless"), *problems)}))
    assert str(caught.value) == "part 1 lacks patch 2 (and 2 more)"
    assert "reviewbot plan" in caught.value.hint
    assert caught.value.exit_status is ExitStatus.BLOCKED
    with pytest.raises(Blocked, match=r"^part 1 lacks patch 2$"):
        check_complete(found.model_copy(update={"problems": (problems[0],)}))


@pytest.mark.parametrize(
    ("legs", "suites", "changed", "wanted"),
    [
        (("fuse2fs",), ("smoke",), ("kernel",), ("kernel", "libfuse", "e2fsprogs")),
        (("fuse2fs",), ("smoke", "fstests"), ("kernel",), ("kernel", "libfuse", "e2fsprogs", "fstests")),
        (("ext4",), ("smoke",), ("libfuse",), ("kernel", "libfuse", "e2fsprogs")),
        (("lklfuse", "fuse4fs"), ("smoke",), ("kernel",), ("kernel", "libfuse", "e2fsprogs", "lkl")),
        ((), ("smoke", "fstests"), ("e2fsprogs",), ("kernel", "libfuse", "e2fsprogs", "fstests", "lkl")),
    ],
)
def test_what_legs_and_suites_need_and_the_posting_changes_is_built_in_the_stacks_order(
    tmp_path: Path, legs: tuple[str, ...], suites: tuple[str, ...], changed: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    found = planned(request_for(tmp_path, posting(changed), legs=legs, suites=suites))
    assert components_of(found, STACK) == wanted


@pytest.mark.parametrize(
    "leg",
    [
        *LEGS,
    ],
)
def test_what_a_component_is_built_with_is_built_too(tmp_path: Path, leg: str) -> None:
    found = planned(request_for(tmp_path, posting(("kernel",)), legs=(leg,)))
    wanted = components_of(found, STACK)
    recipes = [STACK.component(name).recipe for name in wanted]
    assert {need for recipe in recipes if recipe in RECIPES for need in RECIPES[recipe].needs} <= set(wanted)


@pytest.fixture
def fake_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with folders of his own and a QEMU that only tells its version."""
    program = tmp_path / "bin" / "qemu-system-x86_64"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho QEMU emulator version 7.2.22\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    for name in ("CACHE", "DATA"):
        monkeypatch.setenv(f"REVIEWBOT_{name}", str(tmp_path / name.lower()))
    return program


@pytest.mark.usefixtures("fake_qemu")
def test_an_incomplete_posting_is_blocked_judged_and_reported_before_any_source_is_reached(tmp_path: Path) -> None:
    mails = [m for m in posting() if b"Message-ID: <libfuse.2@" not in m]
    outcome = apply_and_test(request_for(tmp_path, mails), STACK, Site(), silent)
    assert outcome.record.verdict is not None
    assert outcome.record.verdict.kind is VerdictKind.BLOCKED
    assert (outcome.record.trees, outcome.record.artifacts, outcome.record.results) == (None, None, None)
    written = {path.name for path in outcome.folder.path.iterdir()}
    assert {"mails.mbox", "plan.json", "verdict.json"} <= written
    assert "trees.json" not in written and "lock.json" not in written
    assert not (tmp_path / "cache" / "repos").exists()


def runs(folder: Path) -> list[Path]:
    return list((folder / "data" / "runs").glob("*"))


@pytest.mark.usefixtures("fake_qemu")
def test_a_wrong_question_leaves_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError):
        apply_and_test(request_for(tmp_path, legs=("ext5",)), STACK, Site(), silent)
    assert runs(tmp_path) == []

    def refuse(*_: object, **__: object) -> None:
        raise UsageError("generic/999: no such test")

    monkeypatch.setattr(order, "_test", refuse)
    with pytest.raises(UsageError):
        apply_and_test(request_for(tmp_path), STACK, Site(), silent)
    assert [path for path in runs(tmp_path) if path.is_dir()] == []


@pytest.mark.usefixtures("fake_qemu")
@pytest.mark.parametrize("command", ["test.apply_and_test", "review.review_series"])
def test_a_run_whose_folder_is_removed_meanwhile_is_the_machines_fault_and_passes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def tidied(job: Job, record: Record) -> Record:
        shutil.rmtree(job.run.folder.path)
        passed = Verdict(run=record.run, kind=VerdictKind.PASS)
        return record.model_copy(update={"verdict": passed})

    module, _, function = command.partition(".")
    monkeypatch.setattr(f"reviewbot.pipeline.{module}._{module}", tidied)
    with pytest.raises(RunGone, match="was removed while it ran") as caught:
        getattr(pipeline, function)(request_for(tmp_path), STACK, Site(), silent)
    assert caught.value.exit_status is ExitStatus.INFRA
    assert not [path for path in runs(tmp_path) if path.is_dir()]


def test_without_qemu_nothing_is_begun(tmp_path: Path, fake_qemu: Path) -> None:
    fake_qemu.unlink()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ToolMissing, match="qemu-system-x86_64"):
        patch.setenv("PATH", str(fake_qemu.parent))
        apply_and_test(request_for(tmp_path), STACK, Site(), silent)
    assert runs(tmp_path) == []


def test_what_an_aborted_run_had_found_out_is_in_its_record(tmp_path: Path) -> None:
    run = RunFolder("id", tmp_path)
    assert report.known(run.path) == {}
    run.write("results.json", '{"run": "id", "tool": "reviewbot", "legs": []}')
    assert list(report.known(run.path)) == ["results"]

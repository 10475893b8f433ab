# SPDX-License-Identifier: GPL-2.0-or-later
"""No report tells of this machine's folders, of passwords in its settings, or of what its environment holds."""

import re
from pathlib import Path

import pytest

from reviewbot.host import paths
from reviewbot.model.base import Model
from reviewbot.model.errors import InfraError
from reviewbot.model.results import LegResult, Results
from reviewbot.model.verdict import Verdict
from reviewbot.pipeline.run import finish
from reviewbot.report import Record, files, github_report, load_for_others, series_text, without_folders
from reviewbot.report.tables import public_words
from reviewbot.store import RunFolder
from reviewbot.verdict import judge_error
from tests.report.records import PARENT, RECORDS, RUN, TOP, TREES

HOME = "/srv/canary/home"
TOKEN = "canarytoken"
SOURCES = (
    f"git {HOME}/linux.git",
    f"folder {HOME}/src/e2fsprogs",
    f"git https://user:{TOKEN}@git.example.org/linux.git",
)


def told(record: Record) -> dict[str, str]:
    """Every report that is for others, as text."""
    found = {}
    for name, content in files(record, {TOP: PARENT}).items():
        text = content.model_dump_json() if isinstance(content, Model) else content
        found[name] = text.decode() if isinstance(text, bytes) else text
    return found


@pytest.mark.parametrize("name", ["pass", "regression", "review-errors", "infra"])
def test_where_sources_are_on_this_machine_is_not_told(name: str) -> None:
    trees = [
        tree.model_copy(
            update={
                "source": source,
                "base_why": f"default of the stack: {source}",
                "repository": f"{HOME}/cache",
                "attempts": (*tree.attempts, *(one.model_copy(update={"what": source}) for one in tree.attempts)),
            }
        )
        for tree, source in zip(TREES.trees, SOURCES, strict=True)
    ]
    changed = TREES.model_copy(update={"trees": tuple(trees), "unavailable": {"lkl": f"{SOURCES[0]} cannot be had"}})
    record = RECORDS[name]().model_copy(update={"trees": changed})
    for file, text in told(record).items():
        assert "canary" not in text, file
        if file in ("reply.eml", "summary.md"):
            assert "linux.git" in text and "e2fsprogs" in text, "but what was tested is"


def haunted(record: Record) -> Record:
    """The record, with a path of this machine in every text that a run on it could have put one in."""
    path = f"{HOME}/cache/artifacts/kernel/0123/bzImage"
    said = f"{path}: cannot be read, nor '{HOME}', nor {HOME}/.config/site.yaml (see {HOME}/cache/error-1.txt)"
    update: dict[str, object] = {
        "posting": record.posting.model_copy(update={"source": f"{HOME}/out", "files": (f"{HOME}/out/a.mbox",)}),
    }
    if record.results:
        update["results"] = _told(record.results, said)
    if record.verdict:
        update["verdict"] = _worded(record.verdict, said)
    return record.model_copy(update=update)


def _told(results: Results, said: str) -> Results:
    def told(leg: LegResult) -> LegResult:
        tests = tuple(
            test if test.outcome == "PASS" else test.model_copy(update={"reason": said, "diff": f"+{said}\n"})
            for test in leg.tests
        )
        return leg.model_copy(update={"reason": said, "notes": (said,), "tests": tests})

    return results.model_copy(update={"accelerator_why": said, "legs": tuple(map(told, results.legs))})


def _worded(verdict: Verdict, said: str) -> Verdict:
    findings = tuple(one.model_copy(update={"said": said, "detail": f"> {said}\n"}) for one in verdict.findings)
    return verdict.model_copy(update={"findings": findings, "hint": said, "lacks": {"review": said, "blame": said}})


@pytest.mark.parametrize("name", RECORDS)
def test_no_folder_of_this_machine_is_in_any_report(name: str) -> None:
    told_of = without_folders(haunted(RECORDS[name]()), [f"{HOME}/cache", HOME])
    texts = told(told_of) | {
        "check run": github_report(told_of).model_dump_json(),
        "b4": series_text(told_of),
    }
    for file, text in texts.items():
        assert "canary" not in text and not re.search(r"/srv(?:/|\b)", text), file


def test_an_error_of_this_machine_names_no_folder_of_it_known_or_not() -> None:
    error = InfraError(
        "git clone /mnt/big/mirrors/linux.git: fatal: '/opt/mirrors/linux.git' does not appear, /dev/kvm does",
        hint="look at /var/lib/ci/site.yaml",
    )
    record = RECORDS["infra"]().model_copy(update={"verdict": judge_error(RUN, error)})
    verdict = without_folders(record).verdict
    assert verdict
    assert verdict.findings[0].said == "git clone …/linux.git: fatal: '…/linux.git' does not appear, /dev/kvm does"
    assert verdict.hint == "look at …/site.yaml"


def test_what_a_guest_says_of_its_own_folders_stays() -> None:
    record = RECORDS["fail"]()
    assert "/results/generic/023.out.bad" in told(without_folders(record, ["/", "/tmp", "/mnt"]))["junit.xml"]


def test_a_run_writes_its_reports_without_its_folders_and_reads_them_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "canary-home"
    monkeypatch.setenv("HOME", str(home))
    for name in ("REVIEWBOT_CACHE", "REVIEWBOT_DATA", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / f"canary-{name}"))
    run = RunFolder(RUN, tmp_path / "canary-REVIEWBOT_DATA" / "runs" / RUN)
    run.path.mkdir(parents=True)
    words = f"{home}/linux.git: gone; {tmp_path}/canary-REVIEWBOT_CACHE/x; {run.path}/logs/build.log"
    record = RECORDS["infra"]().model_copy(update={"verdict": judge_error(RUN, InfraError(words, hint=words))})
    assert record.plan and record.trees
    run.write("plan.json", record.plan)
    run.write("trees.json", record.trees)
    shown = finish(record, {TOP: PARENT}, run)
    assert shown.record == record, "whoever sits at this machine is told everything"
    for file in run.path.iterdir():
        assert file.name in ("plan.json", "trees.json") or "canary" not in file.read_text(), file
    assert "logs/build.log" in (run.path / "summary.md").read_text()
    again = files(load_for_others(run.path, paths.our_folders()), {TOP: PARENT})
    for name, content in again.items():
        text = content.model_dump_json(indent=1) + "\n" if isinstance(content, Model) else content
        assert (text.encode() if isinstance(text, str) else text) == (run.path / name).read_bytes(), name


def test_what_the_environment_holds_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_TOKEN", "KCIDB_REST", "HTTPS_PROXY", "USER", "HOSTNAME"):
        monkeypatch.setenv(name, f"https://{TOKEN}@x")
    for build in RECORDS.values():
        assert not [file for file, text in told(build()).items() if TOKEN in text]


@pytest.mark.parametrize(
    ("words", "public"),
    [
        ("git https://git.kernel.org/pub/scm/linux.git", "git https://git.kernel.org/pub/scm/linux.git"),
        ("git /srv/git/linux.git", "git …/linux.git"),
        ("folder /home/me/e2fsprogs", "folder …/e2fsprogs"),
        ("git ../linux", "git …/linux"),
        ("git ~/src/linux", "git …/linux"),
        ("git file:///srv/git/linux.git", "git file://…/linux.git"),
        ("git https://me:secret@host/x.git", "git https://host/x.git"),
        ("base-commit v6.12, in fs/fuse/file.c", "base-commit v6.12, in fs/fuse/file.c"),
        ("its blobs (12/14)", "its blobs (12/14)"),
        ("/", "/"),
    ],
)
def test_folders_are_left_out_and_names_stay(words: str, public: str) -> None:
    assert public_words(words) == public

# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole way, as its users go it: the demo, the same again, Ctrl-C in the middle, a patch that does not build."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import filelock
import pytest

from demo.__main__ import SITE
from demo.posting import Version, mails
from reviewbot.host.locks import locked
from reviewbot.host.paths import cache_dir
from reviewbot.model.lock import Lock
from reviewbot.model.results import Outcome, Results
from reviewbot.model.verdict import SaidVerdict
from reviewbot.post import Outbox, outbox_file
from reviewbot.store import Store
from tests.command import called
from tests.conftest import ROOT
from tests.machines import DemoRun, processes
from tests.mails import mbox

pytestmark = pytest.mark.vm
LEGS = ("ext4", "fuse2fs")
FINE = (Outcome.PASS, Outcome.NOTRUN, Outcome.KNOWN)


def test_the_demo_passes_and_every_patch_is_seen_in_a_guest(demo_run: DemoRun) -> None:
    assert demo_run.status == 0, demo_run.stdout + demo_run.stderr
    said = demo_run.stdout
    passed = (
        r"^PASS  all \d+ tests that could run passed in 2 legs \(ext4, fuse2fs\); 8 known failures in components that "
    )
    assert re.search(passed, said, re.MULTILINE)
    assert "compared with" not in said, "nothing failed"
    assert said.count("✓ kernel") == 1 and said.count("✓ libfuse") == 2 and said.count("✓ e2fsprogs") == 1
    assert "✗" not in said
    assert str(demo_run.folder / "summary.md") in said.replace("latest", demo_run.folder.name)
    assert len(re.findall(r"^  \S*reviewbot (report|post|plan) ", said, re.MULTILINE)) == 3


def test_the_demo_proves_what_it_ran(demo_run: DemoRun) -> None:
    lock = demo_run.lock
    trees = {tree.component: tree for tree in lock.trees.trees}
    results = Results.model_validate_json((demo_run.folder / "results.json").read_bytes())
    assert tuple(leg.leg for leg in results.legs) == LEGS
    for leg in results.legs:
        assert str(leg.proofs["kernel_release"]).endswith(f"-rb-{trees['kernel'].head_tree[:12]}")
        assert leg.tests and all(test.outcome in FINE for test in leg.tests)
        assert all(test.reason for test in leg.tests if test.outcome is Outcome.NOTRUN)
        found = {test.test: test.outcome for test in leg.tests}
        assert found["mount"] is found["fsck"] is Outcome.PASS
        assert leg.accelerator == lock.accelerator
        for test in leg.tests:
            assert (demo_run.folder / test.log / "output.txt").exists()
    server = "sha256:/stack/bin/fuse2fs"
    assert results.legs[1].proofs[server] == lock.artifacts.fact(f"e2fsprogs.{server}")
    assert [len(trees[name].patches) for name in ("kernel", "libfuse", "e2fsprogs")] == [1, 2, 1]


def test_every_report_of_the_demo_can_be_read(demo_run: DemoRun) -> None:
    folder = demo_run.folder
    verdict = SaidVerdict.model_validate_json((folder / "verdict.json").read_bytes())
    assert verdict.kind == "PASS" and verdict.run == folder.name
    summary = (folder / "summary.md").read_text()
    assert summary.startswith("# ✅ PASS") and "fuse2fs" in summary
    suites = ElementTree.parse(folder / "junit.xml").getroot()
    assert {suite.get("name") for suite in suites} == {"review", "ext4.smoke", "fuse2fs.smoke"}
    reply = message_from_bytes((folder / "reply.eml").read_bytes(), policy=default)
    assert reply["In-Reply-To"] == f"<{Version(1).top}>" and reply["To"].startswith("Dana Example")
    assert max(len(line) for line in reply.get_content().splitlines()) <= 78
    env = {**os.environ, "REVIEWBOT_DATA": str(demo_run.data), **GIT_MAIL}
    done = called("post", "latest", "--to", "mail", env=env)
    assert done.returncode == 0, done.stderr
    assert "\nPASS: all " in done.stdout and Outbox(outbox_file(demo_run.data)).all() == ()


GIT_MAIL = {
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "sendemail.smtpServer", "GIT_CONFIG_VALUE_0": "mail.example.org",
    "GIT_CONFIG_KEY_1": "sendemail.from", "GIT_CONFIG_VALUE_1": "CI <ci@example.org>",
}  # fmt: skip


def test_the_same_again_tests_nothing_twice_and_says_so(demo_run: DemoRun) -> None:
    assert demo_run.status == 0
    done = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "REVIEWBOT_DATA": str(demo_run.data)},
    )
    assert done.returncode == 0, done.stderr
    results = Results.model_validate_json((demo_run.data / "runs" / "latest" / "results.json").read_bytes())
    assert [leg.reused for leg in results.legs] == [True, True]
    assert "results taken from it: ext4, fuse2fs" in done.stdout


class Call:
    """`reviewbot apply-and-test` in the background, its progress line by line."""

    def __init__(self, folder: Path, mails_: list[bytes], *arguments: str) -> None:
        self.data = folder / "data"
        (folder / "site.yaml").write_text(SITE.format(url="http://127.0.0.1:9/nothing") + "machine: {vms: 2}\n")
        (folder / "thread.mbox").write_bytes(mbox(mails_))
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reviewbot", "apply-and-test", "--mbox", str(folder / "thread.mbox"),
             "--suites", "smoke", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "REVIEWBOT_DATA": str(self.data), "REVIEWBOT_SITE": str(folder / "site.yaml"),
                 "TMPDIR": str(self.temporary), "CI": "", "GITHUB_ACTIONS": ""},
        )  # fmt: skip

    def interrupt(self) -> tuple[int, str, float]:
        """As Ctrl-C at a terminal: the whole foreground group gets it. Status, last line, seconds it took."""
        began = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said.splitlines()[-1], time.monotonic() - began

    def finish(self) -> tuple[int, str]:
        out, said = self.process.communicate()
        return self.process.returncode, out + said

    def leftovers(self) -> list[str]:
        """Processes, worktrees, sockets, half-made artifacts."""
        found = [f"process {pid}" for pid in processes(str(self.data))]
        found += [str(path) for path in self.temporary.iterdir()]
        found += [str(path) for path in (cache_dir() / "building").glob("*") if left(path, path.name)]
        worktrees = (cache_dir() / "worktrees").glob("*")
        found += [str(path) for path in worktrees if left(path, f"repository-{path.name}")]
        return found


def left(folder: Path, lock: str) -> bool:
    """Whether the folder is there and nobody works on it: the cache is this user's, who may do more at once."""
    try:
        with locked(cache_dir() / "locks" / f"{lock}.lock", timeout=0):
            return folder.is_dir()
    except filelock.Timeout:
        return False


def wait_for(condition: object, what: str, call: Call, seconds: float = 1800) -> None:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        assert call.process.poll() is None, f"it ended before {what}: {call.finish()}"
        assert time.monotonic() < until, f"{what} never came"
        time.sleep(0.2)


def test_ctrl_c_leaves_nothing_and_the_next_call_goes_on(demo_run: DemoRun, tmp_path: Path) -> None:
    assert demo_run.status == 0
    posting = list(mails(Version(2, f"t{os.getpid()}-{int(time.time())}")))
    compiling = Call(tmp_path, posting, "--legs", "ext4")
    wait_for(lambda: processes("/src O=/obj", compiling.process.pid), "the kernel's build", compiling)
    status, said, _ = compiling.interrupt()
    assert (status, compiling.leftovers()) == (130, [])
    assert "run the same command again to resume" in said

    booting = Call(tmp_path, posting, "--legs", ",".join(LEGS))
    machines = [f"-name {leg}-smoke " for leg in LEGS]
    wait_for(lambda: all(processes(name, booting.process.pid) for name in machines), "the second machine", booting)
    status, said, _ = booting.interrupt()
    assert (status, booting.leftovers()) == (130, [])
    run = (booting.data / "runs" / "latest").resolve()
    lock = Lock.model_validate_json((run / "lock.json").read_bytes())
    assert not lock.artifacts.artifacts["kernel"].reused

    last = Call(tmp_path, posting, "--legs", "ext4")
    status, said = last.finish()
    assert status == 0, said
    lock = Lock.model_validate_json((last.data / "runs" / "latest" / "lock.json").read_bytes())
    assert lock.artifacts.artifacts["kernel"].reused, "what was built before the second Ctrl-C is not built again"
    for artifact in Store(cache_dir()):
        if artifact.inputs.get("tree") == lock.trees.trees[0].head_tree:
            shutil.rmtree(artifact.path)  # a tree that nobody will ask for again


def test_a_patch_that_does_not_build_is_named_with_file_and_line(demo_run: DemoRun, tmp_path: Path) -> None:
    assert demo_run.status == 0
    broken = [m.replace(b"request header size", b'request "header size') for m in mails(Version(1))]
    assert broken != list(mails(Version(1)))
    call = Call(tmp_path, broken, "--legs", "fuse2fs")
    status, said = call.finish()
    assert status == 1, said
    assert "BUILD-FAILS" in said
    place = re.search(r"((?:lib|util|include)/\S+\.[ch]):(\d+)", said)
    assert place, said
    folder = (call.data / "runs" / "latest").resolve()
    verdict = json.loads((folder / "verdict.json").read_bytes())
    assert verdict["kind"] == "BUILD-FAILS"
    (finding,) = verdict["findings"]
    assert place[0] == f"{finding['file']}:{finding['line']}"
    assert place[0].rpartition("/")[2] in (folder / finding["log"]).read_text()
    assert "BUILD-FAILS" in (folder / "reply.eml").read_text()

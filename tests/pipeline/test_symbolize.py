# SPDX-License-Identifier: GPL-2.0-or-later
"""Crashes with file and line: in a real run, and what becomes of results whose lines cannot be found."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from demo.__main__ import SITE
from reviewbot.build.lines import parse, source_lines
from reviewbot.crash.splats import splat_blocks
from reviewbot.crash.traces import telling_lines
from reviewbot.host.paths import cache_dir
from reviewbot.model.errors import InfraError
from reviewbot.model.lock import Lock
from reviewbot.model.progress import silent
from reviewbot.model.results import LegResult, Outcome, Results, TestResult
from reviewbot.pipeline.symbolize import with_source_lines
from reviewbot.store import Store
from tests.conftest import ROOT
from tests.faults import fault
from tests.machines import DemoRun

GOLDEN = ROOT / "tests" / "golden"
OOPS = splat_blocks((GOLDEN / "splats" / "oops-null.txt").read_text())[0].text
READPAGE = "fuse_do_readpage.isra.0+0x4e/0x1c0"


def results(*tests: TestResult) -> Results:
    return Results(run="r", tool="t", legs=(LegResult(leg="fuse2fs", available=True, tests=tests),))


CRASH = TestResult(suite="smoke", test="mmap", outcome=Outcome.CRASH, crash="oops", dmesg=OOPS, log="logs/mmap")


def test_functions_get_their_lines_where_they_are_known(tmp_path: Path) -> None:
    asked: list[str] = []

    def lines(frames: Sequence[str]) -> Mapping[str, str]:
        asked.extend(frames)
        return {READPAGE: "fs/fuse/file.c:858", "vfs_read+0x25d/0x370": "fs/read_write.c:1, inlined at fs/x.c:2"}

    (tmp_path / "logs" / "mmap").mkdir(parents=True)
    (tmp_path / "logs" / "mmap" / "dmesg.txt").write_text(f"before\n[    1.0] RIP: 0010:{READPAGE}\nafter\n")
    passed = TestResult(suite="smoke", test="mount", outcome=Outcome.PASS, dmesg="EXT4-fs mounted")
    found = with_source_lines(results(passed, CRASH), lines, tmp_path, silent).legs[0].tests
    assert found[0] == passed and found[1].outcome is Outcome.CRASH
    assert found[1].trace.split("\n")[:3] == [
        "BUG: kernel NULL pointer dereference, address: 0000000000000018",
        f"RIP: 0010:{READPAGE} (fs/fuse/file.c:858)",
        " fuse_read_folio+0x5f/0xb0",
    ]
    assert " vfs_read+0x25d/0x370 (fs/read_write.c:1, inlined at fs/x.c:2)" in found[1].trace
    assert asked[0] == READPAGE and not any("lock_release" in frame for frame in asked), "guesses are not looked up"
    whole = (tmp_path / "logs" / "mmap" / "trace.txt").read_text()
    assert whole == f"before\n[    1.0] RIP: 0010:{READPAGE} (fs/fuse/file.c:858)\nafter\n"


def test_the_stacks_of_a_hang_get_their_lines(tmp_path: Path) -> None:
    stack = "limit of 20 s\nblocked mv (pid 71): in fuse_rename2\n    fuse_rename2+0x1d/0xa0\n    vfs_rename+0x10/0x20"
    hang = TestResult(suite="smoke", test="exchange", outcome=Outcome.HANG, hang=stack)
    ((found,),) = [
        leg.tests
        for leg in with_source_lines(
            results(hang), lambda frames: {frames[0]: "fs/fuse/dir.c:930"}, tmp_path, silent
        ).legs
    ]
    assert found.hang == stack.replace("0x1d/0xa0", "0x1d/0xa0 (fs/fuse/dir.c:930)")


def test_what_keeps_the_lines_away_is_a_note_and_changes_nothing(tmp_path: Path) -> None:
    def lines(frames: Sequence[str]) -> Mapping[str, str]:
        raise InfraError("no room")

    (leg,) = with_source_lines(results(CRASH), lines, tmp_path, silent).legs
    assert leg.tests == (CRASH,) and leg.notes == ("traces without source lines: no room",)


def test_without_a_crash_nobody_is_asked(tmp_path: Path) -> None:
    def lines(frames: Sequence[str]) -> Mapping[str, str]:
        raise AssertionError("asked")

    plain = results(TestResult(suite="smoke", test="mount", outcome=Outcome.FAIL, dmesg=OOPS))
    assert with_source_lines(plain, lines, tmp_path, silent) == plain


def test_registers_guesses_and_noise_do_not_tell() -> None:
    said = "\n".join(telling_lines(OOPS))
    assert not re.search(r"RAX|Code:|CPU:|Hardware|Modules|do_syscall_64|\? |<TASK>|Oops", said)
    assert said.count("fuse_do_readpage") == 1
    report = splat_blocks((GOLDEN / "splats" / "kasan-uaf.txt").read_text())[0].text
    assert [line.strip() for line in telling_lines(report)][-6:-3] == [
        "fuse_get_req+0x1d2/0x5a0",
        "Freed by task 602:",
        "fuse_put_request+0x9c/0x1b0",
    ]


def test_what_the_trees_script_says_is_read_with_care() -> None:
    said = (
        "== a+0x1/0x2\na+0x1/0x2:\nb at /src/include/linux/x.h:7\n(inlined by) a at /src/fs/a.c:9 (discriminator 3)\n"
        "\na+0x1/0x2:\na at /src/fs/other.c:1\n"
        "== c+0x1/0x2\nc+0x1/0x2:\nc at ??:?\n== \x1b[31mx\nx:\nx at /src/x.c:1\n"
        "== d+0x1/0x2\nd+0x1/0x2:\nd at /src/../../etc/x y.c:1\n== e+0x3/0x4\ne+0x3/0x4:\ne at ./fs/e.c:5\n"
    )
    assert parse(said) == {"a+0x1/0x2": "include/linux/x.h:7, inlined at fs/a.c:9", "e+0x3/0x4": "fs/e.c:5"}


@pytest.fixture(scope="module")
def crash(demo_run: DemoRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run whose posting warns in `rename` and oopses in `links`."""
    assert demo_run.status == 0
    folder = tmp_path_factory.mktemp("crash")
    (folder / "site.yaml").write_text(SITE.format(url="http://127.0.0.1:9/nothing"))
    done = subprocess.run(
        [sys.executable, "-m", "reviewbot", "apply-and-test", "--no-compare", "--mbox",
         str(GOLDEN / "postings" / "crash.mbox"), "--legs", "fuse2fs", "--suites", "smoke", "--no-review"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "REVIEWBOT_DATA": str(folder), "REVIEWBOT_SITE": str(folder / "site.yaml"), "CI": ""},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    return (folder / "runs" / "latest").resolve()


@pytest.mark.vm
@fault(
    "a kernel that warns (WARN) in a test that passes",
    collected="the splat with source lines, its fingerprint",
    outcome="CRASH",
    machine="goes on",
)
@fault(
    "a kernel that oopses",
    collected="the splat with source lines, its fingerprint",
    outcome="CRASH",
    machine="ends with its kernel",
)
def test_a_mail_names_the_lines_of_the_patch_that_crash(crash: Path) -> None:
    (leg,) = json.loads((crash / "results.json").read_bytes())["legs"]
    tests = {test["test"]: test for test in leg["tests"]}
    warned, oopsed = tests["rename"], tests["links"]
    assert (warned["outcome"], warned["crash"]) == ("CRASH", "warn"), warned["reason"]
    assert warned["fingerprint"].startswith("fuse_rename2:vfs_rename:")
    assert re.search(r"^RIP: 0010:fuse_rename2\+\S+ \(fs/fuse/dir\.c:1093\)$", warned["trace"], re.MULTILINE)
    assert (oopsed["outcome"], oopsed["crash"]) == ("CRASH", "oops"), oopsed["reason"]
    assert oopsed["fingerprint"].startswith("fuse_symlink:vfs_symlink:")
    assert re.search(r"^RIP: 0010:fuse_symlink\+\S+ \(fs/fuse/dir\.c:931\)$", oopsed["trace"], re.MULTILINE)
    assert re.search(r"^ vfs_symlink\+\S+ \(fs/namei\.c:\d+.*\)$", oopsed["trace"], re.MULTILINE)
    assert "fs/fuse/dir.c:931" in (crash / oopsed["log"] / "trace.txt").read_text()
    mail = (crash / "reply.eml").read_text()
    assert "(fs/fuse/dir.c:931)" in mail and "(fs/fuse/dir.c:1093)" in mail
    said = (crash / oopsed["log"] / "dmesg.txt").read_text()
    assert re.search(r"\[ *T\d+\] RIP: 0010:fuse_symlink", said), "each line says whose it is"


@pytest.mark.vm
def test_a_function_that_is_not_the_one_that_crashed_gets_no_line(crash: Path, tmp_path: Path) -> None:
    lock = Lock.model_validate_json((crash / "lock.json").read_bytes())
    tree, built = lock.trees.get("kernel"), lock.artifacts.artifacts
    assert tree is not None
    (known,) = set(re.findall(r"fuse_symlink\+\w+/\w+", (crash / "reply.eml").read_text()))
    other, beyond = known.replace("/0x", "/0x7"), "fuse_symlink+0x7000/" + known.partition("/")[2]
    frames = [known, other, beyond, "no_such_function+0x1/0x2", "$(id)+0x1/0x2", "-h"]
    found = source_lines(Store(cache_dir()), built["kernel"], tree, built["buildroot"], frames, tmp_path / "log")
    assert found == {known: "fs/fuse/dir.c:931"}

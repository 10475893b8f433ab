# SPDX-License-Identifier: GPL-2.0-or-later
"""What the bench suite asks of a guest, and what is taken from its answers."""

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.host.data import data_path
from reviewbot.model.errors import UsageError
from reviewbot.model.lab import StepReply
from reviewbot.model.results import Outcome, TestResult
from reviewbot.suites import bench
from tests.guest import MODULES

LEG = load_stack().leg("fuse2fs")
TOLD = {
    "values": [4.0, 4.4, 3.6], "yardstick": [1.0, 1.1, 0.9], "upcalls": {"CREATE": 1.0, "LOOKUP": 1.02},
    "switches": 4.5, "switches_yardstick": 0.5, "series": [], "at_least": False, "note": "",
}  # fmt: skip


def said(measurement: str, rows: object, status: int = 0) -> TestResult:
    reply = StepReply(
        name=f"bench/{measurement}", status="done", exit_status=status, output=f"noise\nbench {json.dumps(rows)}\n"
    )
    (result,) = bench.results(LEG, [reply])
    return result


def test_each_measurement_is_a_step_whose_loop_the_guest_has() -> None:
    loops = re.findall(r'"([a-z]+)": [a-z]+\.[a-z]+', data_path("qemu/suites/bench/__init__.py").read_text())
    orders = [json.loads(step.argv[-1]) for step in bench.steps(LEG, bench.FULL)]
    assert {order["loop"] for order in orders} <= set(loops)
    assert all(order["rows"] for order in orders)


def test_every_row_says_why_and_whose_question_it_answers() -> None:
    rows = [row for one in bench.load_bench().measurements for row in one.rows]
    assert all(row.why and row.asks for row in rows)


def test_rows_are_chosen_by_name_of_row_or_measurement_and_others_are_refused() -> None:
    assert [one.name for one in bench.chosen("create-1,mount")] == ["mount", "files-1"]
    assert len(bench.chosen("")) < len(bench.chosen("full")) == len(bench.load_bench().measurements)
    assert bench.chosen("mount,full") == bench.chosen("full")
    for wrong, said in (("creat", "bench has no row creat"), (",", "--rows names no row")):
        with pytest.raises(UsageError, match=said):
            bench.chosen(wrong)


def test_the_first_answer_is_waited_for_twenty_times() -> None:
    (mount,) = bench.chosen("mount")
    assert mount.rounds >= 20 and mount.by_default


def test_a_rerun_has_only_the_measurements_that_it_is_for() -> None:
    assert [step.name for step in bench.steps(LEG, "", ["readdir"])] == ["bench/readdir"]


def test_a_row_has_the_ratio_to_ext4_with_an_interval_around_it() -> None:
    row = said("files-1", {"create-1": TOLD}).bench["create-1"]
    assert row.ratio and row.ratio.rounds == 3
    assert row.ratio.low <= row.ratio.ratio <= row.ratio.high
    assert math.isclose(row.ratio.ratio, 4.0)
    assert (row.unit, row.upcalls) == ("s/op", {"CREATE": 1.0, "LOOKUP": 1.02})


def test_wide_rounds_have_a_wide_interval() -> None:
    narrow = said("files-1", {"create-1": TOLD}).bench["create-1"].ratio
    wide = said("files-1", {"create-1": {**TOLD, "values": [2.0, 4.0, 8.0]}}).bench["create-1"].ratio
    assert narrow and wide and wide.high / wide.low > narrow.high / narrow.low


def test_a_row_without_as_many_rounds_of_its_yardstick_is_left_out() -> None:
    found = said("files-1", {"create-1": {**TOLD, "yardstick": [1.0]}, "stat-1": TOLD})
    assert list(found.bench) == ["stat-1"]
    assert found.outcome is Outcome.INFRA and "no figures for create-1, rename-1, unlink-1" in found.reason


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0, "fast", None, [], 10**400, 1e300])
def test_what_cannot_be_a_figure_is_left_out(wrong: object) -> None:
    found = said("files-1", {"create-1": {**TOLD, "values": [4.0, wrong, 3.6]}})
    assert (found.outcome, found.bench) == (Outcome.INFRA, {})


@pytest.mark.parametrize(("value", "other"), [(1e9, 1e-300), (1e-300, 1e9), (0.0, 1.0), (1.0, 0.0)])
def test_times_that_are_far_from_any_clock_break_nothing(value: float, other: float) -> None:
    found = said("files-1", {"create-1": {**TOLD, "values": [value] * 3, "yardstick": [other] * 3}})
    ratio = found.bench["create-1"].ratio
    assert ratio is None or 0 < ratio.low <= ratio.ratio <= ratio.high < math.inf


def test_a_measurement_that_does_not_apply_says_why() -> None:
    reply = StepReply(name="bench/start-fork", status="done", exit_status=77, output="a copy has 1 of 5 threads\n")
    (found,) = bench.results(LEG, [reply])
    assert (found.outcome, found.reason) == (Outcome.NOTRUN, "a copy has 1 of 5 threads")


def test_one_that_failed_has_no_figures_whatever_it_told() -> None:
    found = said("files-1", {"create-1": TOLD}, status=1)
    assert (found.outcome, found.bench) == (Outcome.FAIL, {})


@given(st.text())
def test_no_words_break_the_reader(words: str) -> None:
    (measurement,) = bench.chosen("files-1")
    assert bench.read_rows(measurement, f"bench {words}\nbench {{{words}}}") == {}


FIO = """
import json, os, sys
sys.path[:0] = sys.argv[1].split(":")
from bench.fio import argv, run_fio, seconds
jobs, place = json.loads(sys.argv[2]), sys.argv[3]
os.chdir(place)
told = run_fio(argv(jobs, place, lambda job: job["row"], ["/proc/stat"] if len(sys.argv) > 4 else []))
for job in jobs:
    print(json.dumps(seconds(told[job["row"]], synced="end_fsync" in job["fio"])))
"""


def in_guest(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", "-c", script, MODULES, *words], capture_output=True, text=True, check=False
    )


def jobs_of(name: str) -> list[dict[str, Any]]:
    """Of a measurement, in a folder that may be in memory."""
    (measurement,) = bench.chosen(name)
    jobs: list[dict[str, Any]] = json.loads(measurement.order())["jobs"]
    return [{**job, "fio": {**job["fio"], "direct": 0}} for job in jobs]


needs_fio = pytest.mark.skipif(not shutil.which("fio"), reason="fio is not installed: apt-get install fio")


@needs_fio
@pytest.mark.parametrize("name", ["io", "io-sizes"])
def test_fio_s_own_output_says_how_long_each_job_took_and_what_it_moved(name: str, tmp_path: Path) -> None:
    jobs = jobs_of(name)
    for job in jobs:
        (tmp_path / job["row"]).write_bytes(bytes(8 << 20))
    done = in_guest(FIO, json.dumps(jobs), str(tmp_path))
    assert done.returncode == 0, done.stderr
    for job, line in zip(jobs, done.stdout.splitlines(), strict=True):
        seconds, mebibytes = json.loads(line)
        moved = str(job["fio"].get("io_size", job["fio"]["size"]))
        assert seconds > 0 and mebibytes == int(moved.removesuffix("m"))


COUNTED = """
import sys
sys.path[:0] = sys.argv[1].split(":")
from bench import fio
fio.FIRST = "true"
fio._WAIT["exec_prerun"] = "cat {}"
"""


@needs_fio
def test_counters_are_read_before_and_after_each_job_by_fio_itself(tmp_path: Path) -> None:
    jobs = jobs_of("io")[:2]
    for job in jobs:
        (tmp_path / job["row"]).write_bytes(bytes(8 << 20))
    done = in_guest(COUNTED + FIO, json.dumps(jobs), str(tmp_path), "counted")
    assert done.returncode == 0, done.stderr
    for job in jobs:
        before, after = ((tmp_path / f"{job['row']}.{when}.txt").read_text() for when in ("prerun", "postrun"))
        switches = [int(re.findall(r"^ctxt (\d+)", text, re.MULTILINE)[0]) for text in (before, after)]
        assert switches[1] > switches[0]


@needs_fio
def test_a_job_that_fio_refuses_fails_with_its_words(tmp_path: Path) -> None:
    wrong = [{"row": "a", "fio": {"rw": "read", "bs": "4k", "size": "1m", "ioengine": "none-such"}, "file": "new"}]
    done = in_guest(FIO, json.dumps(wrong), str(tmp_path))
    assert "fio ended with status" in done.stderr


ALLOCATE = """
import ctypes, errno, os, sys
sys.path[:0] = sys.argv[1].split(":")
from bench import fio
fio._allocate(sys.argv[2], 1 << 20)
print(os.stat(sys.argv[2]).st_blocks * 512)
class No:
    def fallocate(self, *words):
        ctypes.set_errno(errno.EOPNOTSUPP)
        return -1
fio._libc = No()
try:
    fio._allocate(sys.argv[2] + "2", 1 << 20)
except fio.NotRun as why:
    print(why, os.stat(sys.argv[2] + "2").st_size)
"""


def test_unwritten_extents_are_allocated_and_never_written(tmp_path: Path) -> None:
    done = in_guest(ALLOCATE, str(tmp_path / "file"))
    assert done.stdout == f"{1 << 20}\nno fallocate here (Operation not supported) 0\n", done.stderr


PLAYED_FIO = """
import json, sys
sys.path[:0] = sys.argv[1].split(":")
from bench.fio import run_fio, seconds
try:
    print(seconds(run_fio(["sh", "-c", sys.argv[2]])["a"], synced=False))
except Exception as error:
    print(type(error).__name__, error)
"""
SIDE = {"io_bytes": 1 << 20, "runtime": 10, "total_ios": 4, "clat_ns": {"percentile": {"50.000000": 1000}}}
IDLE = {"io_bytes": 0, "runtime": 0, "total_ios": 0}
JOB = {"jobname": "a", "error": 0, "read": SIDE, "write": IDLE}


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (JOB, "(4e-06, 1.0)"),
        ({**JOB, "write": SIDE}, "(8e-06, 2.0)"),
        ({**JOB, "error": 5}, "Failed fio moved 1048576 bytes in 4e-06 s, error 5"),
        ({**JOB, "read": IDLE}, "Failed fio moved 0 bytes"),
        ({**JOB, "read": {**SIDE, "clat_ns": {}}}, "Failed fio's output could not be parsed"),
        ({**JOB, "read": {**SIDE, "clat": 3, "clat_ns": None}}, "Failed fio's output could not be parsed"),
        ({"jobname": "a", "error": 0}, "Failed fio's output could not be parsed"),
        ({"name": "a"}, "Failed fio's output could not be parsed"),
    ],
)
def test_what_another_fio_says_is_read_or_fails_in_one_line(job: object, said: str) -> None:
    words = f"fio: this is said before\nnote: both offset and\n{json.dumps({'jobs': [job]}, indent=1)}"
    done = in_guest(PLAYED_FIO, f"cat <<'E'\n{words}\nE\n")
    assert done.stdout.startswith(said) and done.stdout.count("\n") == 1, done.stdout + done.stderr


TAKEN = """
import json, sys
sys.path[:0] = sys.argv[1].split(":")
from bench.rounds import Row, Taken
hist = "ctxt {}\\n{{ opcode:          1 }} hitcount:       {}\\n{{ opcode:         35 }} hitcount:  {}\\n"
Taken.names = {"1": "LOOKUP", "35": "CREATE"}
row = Row(10)
for n in (0, 1):
    row.add("leg", 5.0, Taken().between(hist.format(100, 7, 3), hist.format(150, 27, 13)))
    row.add("ext4", 1.0, Taken().between("ctxt 1", "ctxt 11"))
print(json.dumps(row.told()))
"""


def test_what_the_guest_tells_of_a_row_is_per_unit_of_work_and_is_read_back() -> None:
    done = in_guest(TAKEN)
    assert done.returncode == 0, done.stderr
    row = said("files-1", {"create-1": json.loads(done.stdout)}).bench["create-1"]
    assert (row.values, row.yardstick) == ((0.5, 0.5), (0.1, 0.1))
    assert (row.upcalls, row.switches, row.switches_yardstick) == ({"LOOKUP": 2.0, "CREATE": 1.0}, 5.0, 1.0)


AT_ONCE = """
import json, os, sys, time
sys.path[:0] = sys.argv[1].split(":")
from bench.files import at_once
place = sys.argv[2]
def wait(mine, other):
    open(f"{place}/{mine}", "w").close()
    while not os.path.exists(f"{place}/{other}"):
        time.sleep(0.001)
print(at_once([lambda: wait("a", "b"), lambda: wait("b", "a")]) > 0)
try:
    at_once([lambda: None, lambda: 1 / 0])
except Exception as error:
    print(error)
"""


def test_processes_work_at_once_and_one_that_fails_is_noticed(tmp_path: Path) -> None:
    done = in_guest(AT_ONCE, str(tmp_path))
    assert done.stdout == "True\n1 of 2 processes failed\n"

# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that says, sends and takes all that it can: what is left on the host is bounded, and so is the time."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reviewbot.lab import OVERDUE, Bounds, run_job
from reviewbot.lab.recorder import HEAD, TAIL
from reviewbot.lab.room import Room
from reviewbot.model.lab import GuestStep, JobReply, StepReply
from reviewbot.model.progress import Event
from reviewbot.model.results import Outcome
from reviewbot.suites.outcome import by_status
from tests.faults import fault
from tests.machines import TCG, Images, processes, shell

pytestmark = pytest.mark.vm
BORROW = (Path(__file__).parents[1] / "lab" / "liar.py").read_text().partition("secret = nonce()")[0]
"""How to get at the agent's ports from inside the guest."""
SIZE = 1 << 20
FLOOD = (
    BORROW
    + """
secret = nonce()
control, results = borrowed()
number = 0
for _ in range(40):  # files of a step that is none of the job's, and then its own
    write(results, json.dumps({"nonce": secret, "step": f"none-{_}" * 1000, "size": 0}).encode() + b"\\n")
for _ in range(60):
    names = [f"files/{number + n}" for n in range(50)]
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 1 << 14
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    number += len(names)
    write(results, json.dumps({"nonce": secret, "step": "files", "size": len(data.getvalue())}).encode() + b"\\n")
    write(results, data.getvalue())
sys.stdout.write("sent\\n" if secret else "found no nonce\\n")
"""
)
"""3000 files of 16 KiB: 48 MiB."""
ALIVE = (
    BORROW
    + """
secret = nonce()
control, results = borrowed()
os.mkdir("/sys/fs/cgroup/x")
for name, words in (("cgroup.procs", "1"), ("cgroup.freeze", "1")):
    with open(f"/sys/fs/cgroup/x/{name}", "w") as file:
        file.write(words)
word = json.dumps({"nonce": secret, "t": "alive"}).encode() + b"\\n"
while True:
    write(control, word * 100)
"""
)
"""The agent says nothing any more, and somebody else that it lives."""
CONSOLES = "for console in /dev/hvc0 /dev/ttyS0; do head -c {bytes} /dev/zero | tr '\\\\0' x > $console & done; wait"
PANIC = "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger; sleep 100"
SAID = HEAD + 4 * TAIL
"""Bytes: more than is kept."""


@dataclass
class Told:
    """What became of the steps of one machine."""

    reply: JobReply
    folder: Path
    events: list[str] = field(default_factory=list)

    def step(self, name: str) -> StepReply:
        return next(step for step in self.reply.replies if step.name == name)


def python(name: str, script: str, **fields: float) -> GuestStep:
    return GuestStep(name=name, argv=("python3", "-S", "-c", script), timeout=fields.get("timeout", 100.0))


@pytest.fixture(scope="module")
def loud(machine_images: Images, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Steps that send files and words without end; the last of them ends its machine."""
    folder = tmp_path_factory.mktemp("loud")
    job = machine_images.job(
        python("files", FLOOD),
        shell("after", "mkdir /r; echo kept > /r/file", collect=["/r"]),
        shell("words", f"{CONSOLES.format(bytes=SAID)}; {PANIC}", timeout=300),
        name="loud",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reviewbot.lab.room.STEP_BYTES", 8 * SIZE)
        return Told(run_job(job, TCG, folder, bounds=Bounds(room=Room(bytes=16 * SIZE))), folder)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@fault(
    "files without end on the results port",
    collected="as many as there is room for, and how many were left out",
    outcome="its own",
    machine="goes on",
)
def test_files_are_bounded_by_sum_and_those_of_the_next_step_have_room(loud: Told) -> None:
    assert loud.step("files").output == "sent\n"
    assert 7 * SIZE < size(loud.folder / "files") <= 8 * SIZE + (200 << 10)
    assert any(
        note.endswith("files of the guest were left out: there were too many, or too large ones")
        for note in loud.reply.notes
    )
    assert (loud.folder / "after" / "r" / "file").read_text() == "kept\n"


@fault(
    "words without end on the consoles, and then a panic",
    collected="the beginning and the end of them, the splat",
    outcome="CRASH",
    machine="is replaced",
)
def test_consoles_are_bounded_and_what_was_said_last_is_there(loud: Told) -> None:
    words = loud.step("words")
    assert (words.status, words.crash) == ("crash", "panic") and "sysrq triggered crash" in words.splat
    for name in ("console.log", "serial.log"):
        log = loud.folder / "loud" / name
        assert log.stat().st_size <= HEAD + 2 * TAIL + 100, name
        assert "[reviewbot left out " in log.read_text(errors="replace"), name
    assert [note for note in loud.reply.notes if note.startswith("console.log: ")]


@fault(
    "an agent that says that it lives, and never that the test is over",
    collected="registers, all stacks",
    outcome="HANG",
    machine="is replaced",
)
def test_a_test_is_over_at_its_limit_however_often_the_agent_says_that_it_lives(
    machine_images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reviewbot.lab.machine_run.GRACE", 10.0)
    job = machine_images.job(python("alive", ALIVE, timeout=0.5), shell("never", "true"))
    reply = run_job(job, TCG, tmp_path)
    judged = by_status(reply.replies[0])
    # Which of the two ends it first depends on how busy the host is.
    assert judged.outcome is Outcome.HANG
    assert re.search(
        r"no response to alive within 10 s after its limit|silence during alive within 1\d s", judged.reason
    )
    assert "RIP=" in (tmp_path / "alive" / "machine.txt").read_text()
    assert [step.status for step in reply.replies] == ["timeout", "skipped"]


@dataclass(frozen=True, slots=True)
class Called(Bounds):
    """The time is up when somebody says so."""

    said: list[bool] = field(default_factory=list)

    @property
    def overdue(self) -> bool:
        return bool(self.said)


def test_a_machine_ends_when_the_time_of_all_tests_is_up(machine_images: Images, tmp_path: Path) -> None:
    bounds = Called()

    def call(event: Event) -> None:
        if event.text == "long":
            bounds.said.append(True)

    job = machine_images.job(shell("before", "true"), shell("long", "sleep 1000", timeout=1000), shell("never", "true"))
    reply = run_job(job, TCG, tmp_path, progress=call, bounds=bounds)
    assert [step.status for step in reply.replies] == ["done", "lost", "skipped"]
    assert (reply.complete, reply.problem) == (False, OVERDUE)
    assert not processes(f"-name {job.name} ")

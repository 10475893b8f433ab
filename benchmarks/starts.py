# SPDX-License-Identifier: GPL-2.0-or-later
"""How soon a machine runs its first test, beside virtme-ng with the same kernel; and the next one after a loss."""

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.machines import job_of, newest
from benchmarks.measure import Figure
from reviewbot import lab, runner, suites
from reviewbot.config import load_stack
from reviewbot.lab import Accelerator
from reviewbot.model.artifacts import Artifact, Artifacts
from reviewbot.model.build import Build
from reviewbot.model.lab import GuestJob
from reviewbot.model.lock import Conditions
from reviewbot.model.progress import Event
from reviewbot.model.trees import Trees
from reviewbot.store import Durations, Runs, Store
from reviewbot.suites import smoke

ROUNDS = 3
RATIO, LOSS = 0.3, 2.0
TCG = Accelerator("tcg", "the promise is about emulation")
LEG = "ext4"
TESTS = ("generic/001", "generic/002", "generic/005", "generic/006", "generic/007", "generic/011")
SHOT = TESTS[::2]
"""Tests in which QEMU is killed."""
VIRTIOFSD = Path("/usr/lib/qemu/virtiofsd")
SHIM = f"""\
#!/bin/sh
# virtme-ng speaks to the virtiofsd that is written in Rust; Debian 12 has the one of QEMU 7.2 (qemu-system-common).
case $1 in --version | --help) exec {VIRTIOFSD} "$1" ;; esac
while [ $# -gt 0 ]; do
	case $1 in
	--socket-path) socket=$2 && shift ;;
	--shared-dir) folder=$2 && shift ;;
	esac
	shift
done
echo $$ >"$socket.pid"
exec {VIRTIOFSD} -f --socket-path="$socket" -o source="$folder" -o cache=always -o sandbox=chroot
"""
WORD = "virtme-ng ran it"


def starts(store: Store) -> Iterator[Figure]:
    """Start to first test as a part of what virtme-ng needs; loss of a machine to the next test."""
    built = newest(store)
    if not built:
        yield Figure("start to first test, part of virtme-ng's `true`", (), RATIO, "run `make demo` first", "x")
        return
    with tempfile.TemporaryDirectory(prefix="reviewbot-bench-") as folder:
        yield beside_virtme(built, Path(folder))
        yield after_a_loss(newest(store, fstests=True), Path(folder))


def beside_virtme(built: dict[str, Artifact], folder: Path) -> Figure:
    """Each round: virtme-ng, a booted and a restored machine, one after the other."""
    what = "start to first test, part of virtme-ng's `true` (tcg)"
    try:
        vng = install_virtme(folder / "virtme")
    except subprocess.CalledProcessError as error:
        return Figure(what, (), RATIO, f"virtme-ng could not be installed: status {error.returncode}", "x")
    leg = load_stack().leg(LEG)
    job = job_of(built, "start", *suites.setup_steps(leg), smoke.steps(leg)[0], disks=suites.disks(1))
    store = Store(folder / "cache")
    first_test(job, folder / "saving", store)  # the first saves a machine
    seconds: dict[str, list[float]] = {"virtme-ng": [], "booted": [], "restored": []}
    for turn in range(ROUNDS):
        theirs = virtme_true(vng, built["kernel"])
        if not theirs:
            return Figure(what, (), RATIO, "virtme-ng ran no `true` with this kernel", "x")
        seconds["virtme-ng"].append(theirs)
        seconds["booted"].append(first_test(job, folder / f"booted{turn}", None))
        seconds["restored"].append(first_test(job, folder / f"restored{turn}", store))
    medians = ", ".join(f"{name} {statistics.median(values):.1f} s" for name, values in seconds.items())
    ratios = tuple(ours / theirs for ours, theirs in zip(seconds["restored"], seconds["virtme-ng"], strict=True))
    return Figure(f"{what}: {medians}", ratios, RATIO, unit="x")


def first_test(job: GuestJob, folder: Path, store: Store | None) -> float:
    """Seconds from the call to the order to run the first step that is no setup."""
    begun: list[float] = []
    first = next(step.name for step in job.steps if not step.gate)

    def hear(event: Event) -> None:
        if event.text == first:
            begun.append(time.monotonic())

    started = time.monotonic()
    lab.run_job(job, TCG, folder, store=store, progress=hear)
    return begun[0] - started


def install_virtme(folder: Path) -> Path:
    """`vng`, the newest of PyPI, and in the same folder the virtiofsd that it will find."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [f"{folder}/bin/pip", "install", "-qq", "--disable-pip-version-check", "virtme-ng"]
    subprocess.run(pip, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if shutil.which("virtiofsd") is None and VIRTIOFSD.exists():
        shim = folder / "bin" / "virtiofsd"
        shim.write_text(SHIM)
        shim.chmod(0o755)
    return folder / "bin" / "vng"


def virtme_true(vng: Path, kernel: Artifact) -> float:
    """Seconds from its call until the guest ran a command, without the time to power off; 0 if it never did.

    The root is the host's, by virtiofs: the kernel has no 9p. `microvm` needs virtio-mmio, which the kernel has not.
    Without udev its init finds no virtio port and runs the command at the console, which only --verbose shows; the
    kernel's own words there, which would cost a second, are off.
    """
    options = "--disable-kvm --disable-microvm --cpus 2 --memory 2G --verbose --append quiet --append loglevel=1"
    argv = [str(vng), "--run", f"{kernel.path}/bzImage", *options.split(), "--", f"true && echo {WORD}"]
    env = {**os.environ, "PATH": f"{vng.parent}:{os.environ.get('PATH', '')}"}
    started = time.monotonic()
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
        start_new_session=True,
    ) as process:
        seconds = 0.0
        try:
            for line in process.stdout or ():
                if WORD.encode() in line and not seconds:
                    seconds = time.monotonic() - started
            process.wait(60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return seconds


def after_a_loss(built: dict[str, Artifact], folder: Path) -> Figure:
    """QEMU is killed in the middle of a test, three times in one run; until the order to run the test after it."""
    what = "QEMU killed in mid-test to the next test (tcg)"
    if "fstests" not in built:
        return Figure(what, (), LOSS, "no payload with fstests: run a leg with --suites fstests first")
    killed: list[float] = []
    seconds: list[float] = []

    def watch(event: Event) -> None:
        if killed and event.text in TESTS:
            seconds.append(time.monotonic() - killed.pop())
        if event.text in SHOT:
            for pid in machines_of(f"{LEG}-fstests", folder):
                killed[:] = [time.monotonic()]
                os.kill(pid, signal.SIGKILL)

    context = runner.Context(
        build=Build(trees=Trees(trees=()), artifacts=Artifacts(artifacts=built)),
        conditions=Conditions(legs=(), disks=suites.disks(1), memory=2048, cpus=2),
        tests=runner.Tests(" ".join(TESTS), fresh=True),
        accelerator=TCG,
        store=Store(folder / "cache"),
        run=Runs(folder / "runs").create(),
        durations=Durations(folder / "durations.json"),
        progress=watch,
    )
    (result,) = runner.run_legs([load_stack().leg(LEG)], ["fstests"], context)
    return Figure(what, tuple(seconds), LOSS, "" if len(seconds) == len(SHOT) else result.reason or "no loss was seen")


def machines_of(name: str, folder: Path) -> Sequence[int]:
    """Process ids of the QEMU of a job whose logs are below the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (
                (entry / "cmdline").read_bytes().decode(errors="replace").split("\0") if entry.name.isdigit() else []
            )
        except OSError:
            continue
        if "-name" in words and words[words.index("-name") + 1].startswith(name) and str(folder) in "".join(words):
            found.append(int(entry.name))
    return found

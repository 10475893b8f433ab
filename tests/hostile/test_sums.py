# SPDX-License-Identifier: GPL-2.0-or-later
"""A build that takes all that it can get: it is ended, what it took too much of is named, and the host goes on.

Each once with the control groups of this machine, if there are some for this caller, and once with the watchdog alone.
"""

from pathlib import Path

import pytest

from reviewbot.host import cgroups
from tests.hostile.callers import Caller

MIB = 1 << 20
GROUPS = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup")


@pytest.fixture(params=["control groups", "watchdog"])
def counted(request: pytest.FixtureRequest, caller: Caller) -> bool:
    if request.param == "watchdog":
        return False
    said = caller.run("-c", "from reviewbot.host import cgroups; print(cgroups.means().kind)").stdout.strip()
    if said == "none":
        pytest.skip(f"no control groups for {caller.name} on this machine")
    return True


@pytest.mark.parametrize("bomb", [
    ":() { : | : & }; while true; do :; sleep 1; done",
    "perl -e 'while (1) { fork }'",
    "while :; do setsid sleep 1000 & done",
])  # fmt: skip
def test_processes(caller: Caller, counted: bool, bomb: str) -> None:
    told, _ = caller.attack(bomb, counted=counted, processes=150)
    assert (told.exceeded, told.limit, told.status) == ("processes", 150, None)


@pytest.mark.parametrize("bomb", [
    "perl -e '$x = \"a\" x 900_000_000; sleep 1000'",
    "for i in 1 2 3 4 5 6 7 8; do perl -e '$x = \"a\" x 120_000_000; sleep 1000' & done; wait",
    "tail /dev/zero",
    "python3 -c 'import mmap, time; kept = [mmap.mmap(-1, 9 << 20) for _ in range(99)];"
    " [m.write(bytes(9 << 20)) for m in kept]; time.sleep(1000)'",
])  # fmt: skip
def test_memory_of_all_processes_together(caller: Caller, counted: bool, bomb: str) -> None:
    told, _ = caller.attack(bomb, counted=counted, memory=400 * MIB)
    assert (told.exceeded, told.limit) == ("memory", 400 * MIB)


def test_memory_that_looks_like_files(caller: Caller, counted: bool) -> None:
    told, _ = caller.attack(
        "for place in /tmp /dev/shm; do head -c 300000000 /dev/zero > $place/x; stat -c %s $place/x; done;"
        "echo x > /dev/x; echo x > /x",
        counted=counted,
        room=8 * MIB,
    )
    sizes = [line for line in told.output.splitlines() if line.isdigit()]
    assert sizes == [str(8 * MIB)] * 2
    if counted:
        told, _ = caller.attack("head -c 900000000 /dev/zero > /tmp/x", room=1000 * MIB, memory=200 * MIB)
        assert told.exceeded == "memory", "and is counted as what it is"


@pytest.mark.parametrize("bomb", [
    "for i in $(seq 1000); do head -c 50000000 /dev/zero > file$i; done",
    "exec 5> file; rm file; for i in $(seq 1000); do head -c 50000000 /dev/zero >&5; done",
    "mkdir -p shut/in; cd shut/in; chmod 0 ..; for i in $(seq 1000); do head -c 50000000 /dev/zero > file$i; done",
])  # fmt: skip
def test_disk(caller: Caller, counted: bool, bomb: str) -> None:
    told, out = caller.attack(bomb, counted=counted, disk=150 * MIB)
    assert (told.exceeded, told.limit) == ("disk", 150 * MIB)
    assert out.exists()


@pytest.mark.parametrize("layered", [False, True])
def test_disk_that_no_name_leads_to(caller: Caller, counted: bool, layered: bool) -> None:
    """Also through overlayfs, where a file that is open has another device than the folder that is measured."""
    bomb = "exec 5> file; rm file; for i in $(seq 1000); do head -c 50000000 /dev/zero >&5; done"
    told, _ = caller.attack(bomb, counted=counted, layered=layered, disk=150 * MIB)
    assert told.exceeded == "disk"


MAPPED = r"""
import ctypes, os, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
for number in range(40):
    file = os.open("file", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(file, 0, 50 << 20)
    libc.mmap(None, 4096, 1, 1, file, 0)
    os.close(file), os.unlink("file"), time.sleep(0.05)
time.sleep(100)
"""
OF_A_THREAD = r"""
import ctypes, os, threading, time
def hold():
    time.sleep(0.5)  # until the first thread is gone, and all that it had open
    for number in range(40):
        file = os.open("file", os.O_RDWR | os.O_CREAT)
        os.posix_fallocate(file, 0, 50 << 20)
        os.unlink("file"), time.sleep(0.05)
    time.sleep(100)
threading.Thread(target=hold).start()
ctypes.CDLL(None).syscall(60, 0)
"""


@pytest.mark.parametrize("bomb", [MAPPED, OF_A_THREAD], ids=["mapped", "of a thread"])
def test_disk_that_hardly_anybody_holds(caller: Caller, bomb: str) -> None:
    if caller.name != "root" and bomb is MAPPED:
        pytest.skip("only root may see what is mapped")
    told, _ = caller.attack(f"cat > /tmp/try.py <<'END'\n{bomb}\nEND\npython3 /tmp/try.py", timeout=60, disk=150 * MIB)
    assert told.exceeded == "disk"


def test_a_watchdog_that_is_kept_busy(caller: Caller) -> None:
    """Millions of open files take minutes to look at, during which anything could be written."""
    told, _ = caller.attack(
        'for i in $(seq 100); do perl -e \'while (open my $f, "<", "/dev/null") { push @kept, $f } sleep 1000\' & done;'
        "sleep 3; for i in $(seq 2000); do head -c 50000000 /dev/zero > file$i; done",
        disk=150 * MIB,
        timeout=120,
    )
    assert told.exceeded in ("disk", "inodes")


def test_files(caller: Caller, counted: bool) -> None:
    bomb = "perl -e 'for my $d (1 .. 1000) { mkdir $d; for my $f (1 .. 1000) { open F, \">$d/$f\" or die } }'"
    told, _ = caller.attack(bomb, counted=counted, inodes=3000)
    assert (told.exceeded, told.limit) == ("inodes", 3000)


def test_output_without_end_is_neither_kept_nor_read_into_memory(caller: Caller, counted: bool) -> None:
    told, _ = caller.attack(
        "yes 'a line of a build log that never ends'", counted=counted, log_limit=MIB, output=300 * MIB
    )
    assert (told.exceeded, told.limit, told.log) == ("output", 300 * MIB, MIB)
    assert told.memory < 200 * MIB


def test_more_output_than_is_kept_does_no_harm(caller: Caller, counted: bool) -> None:
    told, _ = caller.attack("yes | head -c 5000000; exit 3", counted=counted, log_limit=1000)
    assert (told.status, told.log) == (3, 1000)


def test_time(caller: Caller, counted: bool) -> None:
    told, _ = caller.attack("trap '' TERM INT HUP; setsid sleep 10000 & sleep 10000", counted=counted, timeout=3)
    assert (told.exceeded, told.limit) == ("time", 3)


def test_a_build_within_its_limits_is_left_alone(caller: Caller, counted: bool) -> None:
    told, _ = caller.attack(
        "for i in $(seq 20); do (perl -e '$x = \"a\" x 2_000_000; select(undef, undef, undef, 0.5)') & done; wait;"
        "head -c 20000000 /dev/zero > file; echo made",
        counted=counted,
        memory=400 * MIB,
        processes=150,
        disk=150 * MIB,
        inodes=3000,
    )
    assert (told.status, told.output) == (0, "made\n")


def groups() -> set[str]:
    """Names of all control groups of boxes."""
    return {path.name for top in GROUPS for path in Path(top).rglob("reviewbot-*") if path.is_dir()}


def test_control_groups_are_removed_with_their_box(caller: Caller) -> None:
    before = groups()  # others may be at work, and may be killed
    caller.attack("echo done")
    new = groups() - before
    assert {name for name in new if not Path("/proc", name.split("-")[1]).exists()} == set()
    assert cgroups.means().kind in ("v1", "v2", "scope", "none")

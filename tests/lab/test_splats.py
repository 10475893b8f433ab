# SPDX-License-Identifier: GPL-2.0-or-later
"""Each pattern against what kernels say, and against what they say when nothing is wrong."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import load_yaml
from reviewbot.host.data import data_path
from reviewbot.lab.splats import Splat, Splats, find_splat

SPLATS = load_yaml(data_path("qemu/splats.yaml"), Splats).splats

FATAL = (
    "BUG: kernel NULL pointer dereference, address: 0000000000000018",
    "BUG: unable to handle page fault for address: ffff888107a2b000",
    "BUG: unable to handle kernel paging request at ffffea0004000020",
    "Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI",
    "Oops: 0002 [#1] SMP",
    "Oops: general protection fault, probably for non-canonical address 0xdffffc0000000003: 0000 [#1] PREEMPT SMP",
    "general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] PREEMPT SMP NOPTI",
    "kernel BUG at fs/ext4/inode.c:2748!",
    "Kernel panic - not syncing: Fatal exception",
    "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(254,0)",
    "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI",
    "BUG: KASAN: slab-use-after-free in fuse_dev_do_write+0x1a3/0x2e0",
    "KASAN: null-ptr-deref in range [0x0000000000000018-0x000000000000001f]",
    "BUG: KFENCE: use-after-free read in fuse_request_end+0x4c/0x1f0",
    "BUG: sleeping function called from invalid context at include/linux/sched/mm.h:337",
    "BUG: scheduling while atomic: fsstress/1234/0x00000002",
    "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [fsx:1811]",
    "rcu: INFO: rcu_preempt self-detected stall on CPU",
    "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-.... } 21 jiffies s: 465 root: 0x2/.",
    "WARNING: possible circular locking dependency detected",
    "WARNING: possible recursive locking detected",
    "WARNING: possible irq lock inversion dependency detected",
    "[ INFO: possible circular locking dependency detected ]",
    "WARNING: inconsistent lock state",
    "WARNING: suspicious RCU usage",
)
NOT_FATAL = (
    "WARNING: CPU: 0 PID: 1842 at fs/fuse/file.c:1893 fuse_writepage_end+0x1c2/0x200",
    "WARNING: CPU: 1 PID: 9 at fs/inode.c:417 drop_nlink+0x2f/0x40",
    "INFO: task fsstress:2211 blocked for more than 122 seconds.",
    "Out of memory: Killed process 845 (fuse4fs) total-vm:1187432kB, anon-rss:902144kB, file-rss:4kB, shmem-rss:0kB",
)
ORDINARY = """\
Linux version 6.12.117-rb-0123456789ab (reviewbot@reviewbot) (gcc (Debian 12.2.0-14) 12.2.0, GNU ld 2.40) #1 SMP
Command line: root=/dev/vda ro init=/sbin/reviewbot-init console=ttyS0 console=hvc0 loglevel=5 panic=-1 oops=panic
KERNEL supported cpus:
BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
kasan: KernelAddressSanitizer initialized
kfence: initialized - using 2097152 bytes for 255 objects at 0x(____ptrval____)-0x(____ptrval____)
rcu: Hierarchical RCU implementation.
rcu: \tRCU calculated value of scheduler-enlistment delay is 25 jiffies.
Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2 BHB attacks!
workqueue: name exceeds WQ_NAME_LEN. Truncating to: events_freezable_pwr_ef
clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable because the skew is too large:
virtio_blk virtio1: [vda] 1126400 512-byte logical blocks (577 MB/550 MiB)
EXT4-fs (vdc): warning: mounting fs with errors, running e2fsck is recommended
EXT4-fs (vdc): mounted filesystem 8b6f6a0e-0001-4c5e-9d55-0c8d1d6f7e11 r/w with ordered data mode.
fuse: init (API version 7.41)
traps: a.out[311] trap invalid opcode ip:55d0c6f0213d sp:7ffd3b1b1fd0 error:0 in a.out[55d0c6f02000+1000]
fuse2fs[400]: segfault at 18 ip 00007f1c3b1c sp 00007ffd5f20 error 4 in libfuse3.so.4[7f1c3b000000+1f000]
run fstests generic/475 at 2026-11-24 02:13:27
Buffer I/O error on dev dm-0, logical block 13, lost async page write
JBD2: Error while async write back metadata bh 131096.
EXT4-fs error (device dm-0): __ext4_find_entry:1683: inode #2: comm fsstress: reading directory lblock 0
reviewbot: limit reached; aborting fuse connections and killing the step
sysrq: Emergency Sync
"""


def console(*messages: str) -> str:
    """Messages as the agent hands them over, among ordinary ones."""
    lines = [*ORDINARY.splitlines(), *messages, "Modules linked in:", "---[ end trace 0000000000000000 ]---"]
    return "".join(f"[{number / 7:12.6f}] {line}\n" for number, line in enumerate(lines))


@pytest.mark.parametrize("message", FATAL)
def test_a_crash_of_the_kernel_is_found_and_fatal(message: str) -> None:
    assert find_splat(console(message)) == (message, True)


@pytest.mark.parametrize("message", NOT_FATAL)
def test_a_warning_is_found_and_not_fatal(message: str) -> None:
    assert find_splat(console(message)) == (message, False)


@pytest.mark.parametrize("splat", SPLATS, ids=[splat.pattern for splat in SPLATS])
def test_each_pattern_of_the_file_has_a_message_here_that_it_matches(splat: Splat) -> None:
    assert any(re.search(splat.pattern, message) for message in (FATAL if splat.fatal else NOT_FATAL))


def test_each_pattern_is_there_once() -> None:
    assert len({splat.pattern for splat in SPLATS}) == len(SPLATS)


@pytest.mark.parametrize("line", ORDINARY.splitlines())
def test_an_ordinary_message_is_no_splat(line: str) -> None:
    assert find_splat(line) == find_splat(f"[    1.234567] {line}\n") == ("", False)


def test_a_program_that_died_of_a_protection_fault_is_no_crash_of_the_kernel() -> None:
    line = "traps: fuse2fs[412] general protection fault ip:7f3ce0220611 sp:7ffe37ee4f40 error:0 in libfuse3.so.4"
    assert find_splat(console(line)) == ("", False)


@pytest.mark.parametrize("at", ["fs/inode.c:417 at drop_nlink+0x2f/0x40", "at drop_nlink+0x2f/0x40"])
def test_a_warning_of_a_kernel_since_6_19_is_found(at: str) -> None:
    message = f"WARNING: {at}, CPU#1: fsstress/6064"
    assert find_splat(console(message)) == (message, False)


def test_the_first_fatal_line_counts_more_than_an_earlier_warning() -> None:
    assert find_splat(console(NOT_FATAL[0], FATAL[0], "Oops: 0000 [#1] SMP", FATAL[8])) == (FATAL[0], True)


def test_of_several_warnings_the_first_counts() -> None:
    assert find_splat(console(NOT_FATAL[2], NOT_FATAL[0])) == (NOT_FATAL[2], False)


def test_the_line_is_whole_and_without_its_time() -> None:
    said = "watchdog: BUG: soft lockup - CPU#1 stuck for 26s!"
    assert find_splat(f"[   12.5] x\n[   13.000001] {said}\r\n[   14.0] y") == (said, True)
    assert len(find_splat("kernel BUG at " + "x" * 1000)[0]) == 200


@given(st.text())
def test_no_console_breaks_the_search(said: str) -> None:
    line, fatal = find_splat(said)
    assert "\n" not in line and len(line) <= 200 and (line or not fatal)

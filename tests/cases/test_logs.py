# SPDX-License-Identifier: GPL-2.0-or-later
"""Shapes of real logs that were once misread, one of each kind, and what they say."""

import pytest

from reviewbot.build.errors import first_error
from reviewbot.build.warnings import parse
from reviewbot.crash.sanitizers import reports
from reviewbot.crash.splats import fingerprint, judge, splat_blocks
from reviewbot.model.lab import StepReply
from reviewbot.model.results import Outcome
from reviewbot.suites import fstests

CPU = "CPU: 1 UID: 0 PID: 77 Comm: umount Not tainted 6.12.117 #1\n"
TASK = " <TASK>\n ext4_put_it+0x1/0x20\n ext4_kill_sb+0x1/0x20\n </TASK>\n"

KERNEL = {
    "a WARN() whose words are themselves a headline": (
        "------------[ cut here ]------------\nVFS: Busy inodes after unmount of vdc (ext4)\n"
        f"WARNING: CPU: 1 PID: 77 at fs/super.c:650 ext4_put_it+0x1/0x20\n{CPU}RIP: 0010:ext4_put_it+0x1/0x20\n"
        f"Call Trace:\n{TASK}---[ end trace 0000000000000000 ]---\n",
        ("bug", "VFS: Busy inodes after unmount (use-after-free)", "ext4_put_it:ext4_kill_sb"),
    ),
    "a stall whose first trace is that of RCU's own thread": (
        "rcu: INFO: rcu_preempt self-detected stall on CPU\n"
        "rcu: rcu_preempt kthread starved for 2000 jiffies! g9 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x0 ->cpu=0\n"
        "rcu: RCU grace-period kthread stack dump:\ntask:rcu_preempt     state:R  running task\n"
        "Call Trace:\n <TASK>\n schedule+0x1/0x2\n rcu_gp_fqs_loop+0x1/0x2\n </TASK>\n"
        f"{CPU}Call Trace:\n <IRQ>\n rcu_sched_clock_irq+0x1/0x2\n </IRQ>\n <TASK>\n"
        " asm_sysvec_apic_timer_interrupt+0x1/0x2\nRIP: 0010:ext4_seek_hole+0x1/0x2\n ext4_llseek+0x1/0x2\n </TASK>\n",
        ("rcu-stall", "INFO: rcu detected stall in ext4_seek_hole", "ext4_seek_hole:ext4_llseek"),
    ),
    "a report of locks that has no call trace": (
        "================================================\nWARNING: lock held when returning to user space!\n"
        "6.12.117 #1 Not tainted\n------------------------------------------------\n"
        "fsx/12 is leaving the kernel with locks still held!\n1 lock held by fsx/12:\n"
        " #0: ffff888107a2b000 (&ei->i_data_sem){++++}-{4:4}, at: ext4_map_blocks+0x1/0x20\n"
        "EXT4-fs (vdb): mounted filesystem 8b6f6a0e-0001 r/w with ordered data mode.\n",
        ("lockdep", "WARNING: lock held when returning to user space in ext4_map_blocks", "ext4_map_blocks"),
    ),
    "a panic in the middle of a program's line": (
        "generic/001  5s ... [   41.300001][   T1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x9\n"
        "[   41.300002][   T1] Call Trace:\n[   41.300003][   T1]  panic+0x1/0x2\n"
        "[   41.300004][   T1]  do_exit+0x1/0x2\n",
        ("panic", "kernel panic: Attempted to kill init!", "do_exit"),
    ),
    "warnings of firmware and programs before a real report": (
        "WARNING: no bootable device is configured\nld: WARNING: a relocation is odd\nWARNING: tests will take long\n"
        "[   30.100000] ------------[ cut here ]------------\n"
        "[   30.100001] UBSAN: array-index-out-of-bounds in fs/ext4/inline.c:9:1\n"
        "[   30.100002] Call Trace:\n[   30.100003]  dump_stack_lvl+0x1/0x2\n[   30.100004]  ext4_get_inline+0x1/0x2\n"
        "[   30.100005] ---[ end trace ]---\n",
        ("ubsan", "UBSAN: array-index-out-of-bounds in ext4_get_inline", "ext4_get_inline"),
    ),
}

BUILDS = {
    "an assembler's error in inline assembly": (
        "fs/ext4/bitmap.c: Assembler messages:\n"
        "fs/ext4/bitmap.c:31: Error: incorrect register `%eax' used with `q' suffix\n",
        ("fs/ext4/bitmap.c:31", "incorrect register `%eax' used with `q' suffix", False),
    ),
    "a linker that names line and section": (
        "ld: vmlinux.o: in function `ext4_iomap_x':\n"
        "ld: fs/ext4/iomap.c:12:(.text+0x31): undefined reference to `iomap_y'\n",
        ("fs/ext4/iomap.c:12", "undefined reference to `iomap_y'", False),
    ),
    "a compiler that the kernel killed": (
        "gcc: fatal error: Killed signal terminated program cc1plus\n"
        "compilation terminated.\nmake: *** [Makefile:9: x.o] Error 1\n",
        ("", "Killed signal terminated program cc1plus", True),
    ),
    "a uapi header with a kernel option in it": (
        "error: include/uapi/linux/ext4.h: leak CONFIG_EXT4_FS to user-space\nmake[3]: *** [x] Error 1\n",
        ("include/uapi/linux/ext4.h", "leak CONFIG_EXT4_FS to user-space", False),
    ),
    "a linker that names the source without its folder": (
        "ld: fs/ext4/iomap.o: in function `ext4_x':\niomap.c:(.text+0x318): undefined reference to `ext4_y'\n",
        ("fs/ext4/iomap.c", "undefined reference to `ext4_y'", False),
    ),
    "ninja that misses a file": (
        "ninja: error: '../src/lib/new.c', needed by 'lib/x.p/new.c.o', missing and no known rule to make it\n",
        ("", "'../src/lib/new.c', needed by 'lib/x.p/new.c.o', missing and no known rule to make it", False),
    ),
    "a version script": (
        "/usr/bin/ld:lib/fuse_versionscript:7: syntax error in VERSION script\n"
        "collect2: error: ld returned 1 exit status\n",
        ("lib/fuse_versionscript:7", "syntax error in VERSION script", False),
    ),
    "Kconfig": ('fs/ext4/Kconfig:7: unknown statement "tristat"\nmake[2]: *** [x] Error 1\n',
                ("fs/ext4/Kconfig:7", 'unknown statement "tristat"', False)),
    "config.status": ("config.status: error: cannot find input file: `lib/new/Makefile.in'\n",
                      ("", "cannot find input file: `lib/new/Makefile.in'", False)),
}  # fmt: skip


@pytest.mark.parametrize("what", KERNEL)
def test_a_kernels_log_is_one_splat_with_its_class_title_and_place(what: str) -> None:
    log, right = KERNEL[what]
    worst = judge(blocks := splat_blocks(log)).worst
    assert worst and len(blocks) == 1
    assert (worst.kind, worst.title, fingerprint(worst)) == right


@pytest.mark.parametrize("what", BUILDS)
def test_a_builds_log_has_its_first_error_and_says_whether_the_machine_did_it(what: str) -> None:
    log, right = BUILDS[what]
    found = first_error(log)
    assert found and (found.place, found.what, found.accident) == right


def test_addresses_of_libraries_without_symbols_are_in_no_fingerprint() -> None:
    said = (
        "==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x60{0} at pc 0x7f{0}\n"
        "READ of size 4 at 0x60{0}\n"
        "    #0 0x7f{0}  (/lib/libasan.so.8+0x5a) (BuildId: 6f)\n    #1 0x55{0} in op_write ../misc/fuse2fs.c:9\n"
        "    #2 0x7f{0}  (/lib/libfuse3.so.4+0x11) (BuildId: 0a)\nSUMMARY: AddressSanitizer: heap-use-after-free\n"
    )
    ((one,), _), ((other,), _) = reports(said.format("1234567890")), reports(said.format("abcdef0123"))
    assert one.report.fingerprint == other.report.fingerprint == "op_write"


def test_warnings_of_kernel_doc_of_newer_kernels() -> None:
    log = "  CC      fs/ext4/x.o\nWarning: fs/ext4/x.c:9 function parameter 'sb' not described in 'ext4_x'\n"
    ((warning,),) = parse(log).values()
    assert (warning.tool, warning.file, warning.line) == ("kernel-doc", "fs/ext4/x.c", 9)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "generic/476  9s ... !!! failed to remount /dev/vdc on /mnt/scratch\n\n"
            "Ran: generic/476\nFailures: generic/476\nFailed 1 of 1 tests\n",
            "!!! failed to remount /dev/vdc on /mnt/scratch",
        ),
        (
            "our local _scratch_mkfs routine ...\nmke2fs 1.47.3 (8-Jul-2025)\n"
            "mke2fs: No such device while trying to open /dev/vdc\n"
            "check: failed to mkfs $SCRATCH_DEV using specified options\n",
            "check could not start: mke2fs: No such device while trying to open /dev/vdc",
        ),
    ],
)
def test_check_that_could_not_mount_or_make_a_filesystem_says_why(output: str, reason: str) -> None:
    reply = StepReply(name="fstests/generic/476", status="done", exit_status=1, output=output)
    found = fstests.judge("generic/476", reply)
    assert (found.outcome, found.reason) == (Outcome.FAIL, reason)

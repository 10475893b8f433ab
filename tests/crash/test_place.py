# SPDX-License-Identifier: GPL-2.0-or-later
"""Which function of a splat is at fault, in reports of several kinds and architectures."""

import pytest

from reviewbot.crash.names import plain, system_call
from reviewbot.crash.splats import fingerprint, judge, splat_blocks
from reviewbot.crash.traces import frame_of


def told(*lines: str) -> tuple[str, str]:
    """Title and fingerprint of the weightiest splat."""
    worst = judge(splat_blocks("".join(f"[   12.345678][  T400] {line}\n" for line in lines))).worst
    assert worst is not None
    return worst.title, fingerprint(worst)


@pytest.mark.parametrize(
    ("line", "name", "guess"),
    [
        (" fuse_dev_do_write+0x1a3/0x2e0", "fuse_dev_do_write", False),
        (" ? fuse_dev_do_write+0x1a3/0x2e0 [fuse]", "fuse_dev_do_write", True),
        (" [<ffffffff812b2934>] ext4_map_blocks.isra.0+0x64/0x260", "ext4_map_blocks", False),
        ("[c000000001bb3a10] [c0000000005f8868] ext4_sync_fs+0x188/0x2a0", "ext4_sync_fs", False),
        ("[c000000001bb3530] [c000000001bb35a0] ext4_sync_fs+0x8/0x2a0 (unreliable)", "ext4_sync_fs", True),
        ("[<80397f34>] (fuse_put_super) from [<80398960>] (kill_block_super+0x48/0x68)", "fuse_put_super", False),
        (" fuse_put_super from kill_block_super+0x18/0x1c", "fuse_put_super", False),
        (" __do_sys_mremap+0x1/0x2", "mremap", False),
    ],
)
def test_a_frame_is_read_on_each_architecture(line: str, name: str, guess: bool) -> None:
    frame = frame_of(line)
    assert frame and (frame.name, frame.guess) == (name, guess)


@pytest.mark.parametrize(
    "line", ["", " <TASK>", "Modules linked in: fuse", " r9:400f0193 r8:ffffffff", "RIP: 0033:0x46"]
)
def test_other_lines_are_no_frames(line: str) -> None:
    assert frame_of(line) is None


def test_the_entries_of_a_system_call_are_one() -> None:
    assert {system_call(f"__{arch}_sys_fsync") for arch in ("x64", "ia32", "arm64")} == {"sys_fsync"}
    assert {system_call(name) for name in ("SyS_fsync", "ksys_fsync", "__sys_fsync")} == {"fsync"}
    assert system_call("fuse_fsync") == plain("fuse_fsync.cold")


HELD = (
    "======================================================",
    "WARNING: possible circular locking dependency detected",
    "fsx/400 is trying to acquire lock:",
    "ffff8881042c7c40 (&fi->mutex){+.+.}-{4:4}, at: {at}+0x2f/0x40",
    "",
    "but task is already holding lock:",
    "ffff8881042c7d40 (sb_writers#9){.+.+}-{0:0}, at: fuse_file_write_iter+0x7b/0x240",
    "stack backtrace:",
    "Call Trace:",
    " <TASK>",
    " dump_stack_lvl+0x5d/0x80",
    " __lock_acquire+0x1/0x2",
    " vfs_write+0x1/0x2",
    " </TASK>",
)


def test_a_deadlock_is_where_the_lock_is_taken_unless_that_is_noise() -> None:
    def with_at(name: str) -> tuple[str, str]:
        return told(*(line.replace("{at}", name) for line in HELD))

    assert with_at("fuse_lock_inode") == ("possible deadlock in fuse_lock_inode", "fuse_lock_inode:vfs_write")
    assert with_at("process_one_work")[0] == "possible deadlock in fuse_file_write_iter"


def test_a_lock_order_is_named_by_the_trace_that_made_the_lock_safe() -> None:
    title, _ = told(
        "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
        "fsx/400 is trying to acquire:",
        "ffff888026df22b8 (&x){.+.+}-{2:2}, at: kill_fasync+0x14b/0x460",
        "... which became HARDIRQ-irq-safe at:",
        "  lock_acquire+0x29d/0x740",
        "  _raw_spin_lock_irqsave+0x39/0x50",
        "  fuse_timeout+0x6f/0x3d0",
        "",
        "stack backtrace:",
        "Call Trace:",
        " kill_fasync+0x14b/0x460",
    )
    assert title == "possible deadlock in fuse_timeout"


def test_a_bad_page_is_of_who_allocated_it_where_that_is_known() -> None:
    owner = ("page_owner tracks the page as allocated", "page last allocated via order 0, migratetype Movable",
             " post_alloc_hook+0x1/0x2", " get_page_from_freelist+0x1/0x2", " fuse_readahead+0x1/0x2",
             "page last free pid 1 tgid 1 stack trace:", " vfree+0x1/0x2")  # fmt: skip
    trace = ("Call Trace:", " <TASK>", " bad_page+0x1/0x2", " free_unref_page+0x1/0x2", " truncate_inode_pages+0x1/0x2",
             " </TASK>")  # fmt: skip
    head = "BUG: Bad page state in process fsx  pfn:7071f"
    assert told(head, *owner, *trace)[0] == "BUG: Bad page state in fuse_readahead"
    assert told(head, *trace)[0] == "BUG: Bad page state in truncate_inode_pages"


LOOP = ("watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [fsx:400]", "RIP: 0010:{inner}+0x1/0x2", "Call Trace:",
        " <TASK>", " find_get_pages+0x1/0x2", " drm_ioctl+0x1/0x2", " __x64_sys_ioctl+0x1/0x2",
        " do_syscall_64+0x1/0x2",
        " </TASK>")  # fmt: skip


def test_a_loop_is_named_by_who_began_it_but_in_what_is_tested_by_where_it_is() -> None:
    def stuck_in(name: str) -> tuple[str, str]:
        return told(*(line.replace("{inner}", name) for line in LOOP))

    assert stuck_in("xas_load") == (
        "BUG: soft lockup in drm_ioctl",
        "drm_ioctl:find_get_pages:__x64_sys_ioctl",
    )
    assert stuck_in("fuse_readahead")[0] == "BUG: soft lockup in fuse_readahead"


HUNG = "INFO: task umount:400 blocked for more than 122 seconds."


def test_a_task_that_hangs_on_what_everybody_waits_for_is_in_one_bucket() -> None:
    def hung(*functions: str) -> str:
        trace = (f" {name}+0x1/0x2" for name in ("__schedule", "schedule", *functions))
        return told(HUNG, "Call Trace:", " <TASK>", *trace, " </TASK>")[0]

    assert hung("wait_for_completion", "synchronize_srcu", "fuse_umount") == "INFO: task hung in synchronize_rcu"
    assert hung("request_wait_answer", "fuse_sync_fs") == "INFO: task hung in fuse_sync_fs"


def test_a_panic_that_was_asked_for_is_told_after_its_cause() -> None:
    hang = (HUNG, "Call Trace:", " <TASK>", " fuse_sync_fs+0x1/0x2", " </TASK>")
    panic = ("Kernel panic - not syncing: hung_task: blocked tasks", "Call Trace:", " <TASK>", " panic+0x1/0x2",
             " watchdog+0x1/0x2", " </TASK>")  # fmt: skip
    sentence = judge(splat_blocks("\n".join((*hang, *panic))))
    assert sentence.worst and sentence.worst.kind == "hung-task"
    assert sentence.crash, "the machine was lost by the panic"


def test_a_line_that_only_sounds_like_a_splat_hides_no_panic() -> None:
    for words in ("WARNING: the file is old", "BUG: tell the author", "fsx invoked oom-killer: gfp_mask=0x1"):
        sentence = judge(splat_blocks(f"{words}\nKernel panic - not syncing: Attempted to kill init! exitcode=0xb\n"))
        assert sentence.worst and sentence.worst.title == "kernel panic: Attempted to kill init!"


def test_a_report_without_a_trace_takes_that_of_the_panic_it_makes() -> None:
    (block,) = splat_blocks(
        "\n".join(
            (
                "BUG: scheduling while atomic: fsx/400/0x00000002",
                "Kernel panic - not syncing: scheduling while atomic",
                "Call Trace:",
                " <TASK>",
                " panic+0x1/0x2",
                " __schedule_bug+0x1/0x2",
                " schedule+0x1/0x2",
                " fuse_wait+0x1/0x2",
                " </TASK>",
            )
        )
    )
    assert (block.kind, block.title) == ("bug", "BUG: scheduling while atomic in fuse_wait")


def test_a_report_whose_trace_was_cut_off_is_where_its_headline_says() -> None:
    said = (
        "BUG: KASAN: use-after-free in iput+0x2c/0x7a0",
        "Write of size 8 at addr ffff88810f2be0a0 by task rm/88",
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x116/0x1f0",
        " print_repo",
    )
    assert told(*said) == ("KASAN: use-after-free Write in iput", "iput")


def test_what_counts_branches_is_not_where_a_cpu_stalls() -> None:
    said = (
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "RIP: 0010:write_comp_data+0x0/0x90",
        "Call Trace:",
        " <TASK>",
        " ext4_htree_next_block+0x310/0x460",
        " ext4_dx_find_entry+0x210/0x560",
        " </TASK>",
    )
    assert told(*said)[0] == "INFO: rcu detected stall in ext4_htree_next_block"


def test_the_trace_of_the_task_that_holds_what_another_waits_for_is_told() -> None:
    said = (
        "INFO: task cat:1731 blocked for more than 122 seconds.",
        "      Not tainted 6.16.0 #11",
        "task:cat             state:D stack:13432 pid:1731  tgid:1731  ppid:1201",
        "Call Trace:",
        " <TASK>",
        " __mutex_lock+0x68b/0xe80",
        " fuse_reverse_inval_entry+0x4d/0x1f0",
        " </TASK>",
        "INFO: task cat:1731 is blocked on a mutex likely owned by task rm:1702.",
        "task:rm              state:S stack:12984 pid:1702  tgid:1702  ppid:1201",
        "Call Trace:",
        " <TASK>",
        " request_wait_answer+0x12b/0x270",
        " </TASK>",
        "EXT4-fs (vdb): mounted filesystem",
        "INFO: task ls:1800 blocked for more than 122 seconds.",
        "task:ls              state:D stack:13432 pid:1800  tgid:1800  ppid:1201",
        "Call Trace:",
        " <TASK>",
        " fuse_lookup+0x4d/0x1f0",
        " </TASK>",
    )
    first, second = splat_blocks("".join(f"[  363.200001] {line}\n" for line in said))
    assert (first.title, fingerprint(first)) == (
        "INFO: task hung in fuse_reverse_inval_entry",
        "fuse_reverse_inval_entry",
    )
    assert first.text.endswith(" request_wait_answer+0x12b/0x270\n </TASK>")
    assert second.title == "INFO: task hung in fuse_lookup"

# SPDX-License-Identifier: GPL-2.0-or-later
"""What kernels say when they break, against what is found in it; and what they say when nothing is wrong."""

import datetime
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import load_splats
from reviewbot.crash.splats import Block, fingerprint, judge, splat_blocks
from reviewbot.crash.titles import shortened
from reviewbot.model.splats import CLASSES, AllowedSplat, SplatPattern
from tests.crash.messages import CRASHES, WAITING, console

GOLDEN = Path(__file__).parents[1] / "golden" / "splats"
RULES = load_splats()
READPAGE = "fuse_do_readpage:fuse_read_folio:filemap_read_folio:filemap_get_pages:filemap_read"
UNLINK = "fuse_entry_unlinked:fuse_unlink:vfs_unlink:do_unlinkat:__x64_sys_unlinkat"
RENAME = "fuse_rename2:vfs_rename:do_renameat2:__x64_sys_rename"
SYMLINK = "fuse_symlink:vfs_symlink:do_symlinkat:__x64_sys_symlink"
OTHER = "[   99.000001][  T333] EXT4-fs (vdc): mounted filesystem 8b6f6a0e-0001 r/w with ordered data mode."
NULL = "BUG: unable to handle kernel NULL pointer dereference"
IN_READPAGE = f"{NULL} in fuse_do_readpage"
SYSRQ = (
    "panic",
    "kernel panic: sysrq triggered crash",
    "sysrq_handle_crash:__handle_sysrq:write_sysrq_trigger:proc_reg_write:vfs_write",
)
LOGS: dict[str, list[tuple[str, str, str]]] = {
    "oops-null": [("oops", IN_READPAGE, READPAGE)],
    "oops-null-again": [("oops", IN_READPAGE, READPAGE)],
    "panic-after-oops": [("oops", IN_READPAGE, READPAGE), ("panic", "kernel panic: Fatal exception", "")],
    "panic-sysrq": [SYSRQ],
    "panic-guesses": [SYSRQ],
    "gpf-kasan": [
        ("oops", "general protection fault in fuse_iomap_begin",
         "fuse_iomap_begin:iomap_iter:iomap_file_buffered_write:fuse_iomap_buffered_write:vfs_write"),
    ],
    "bug-on": [
        ("bug", "kernel BUG in ext4_do_writepages",
         "ext4_do_writepages:ext4_writepages:do_writepages:__writeback_single_inode:writeback_sb_inodes"),
    ],
    "warn-6.12": [("warn", "WARNING in fuse_entry_unlinked", UNLINK)],
    "warn-7.0": [("warn", "WARNING in fuse_entry_unlinked", UNLINK)],
    "warn-refcount": [
        ("warn", "WARNING: refcount bug in fuse_conn_put",
         "fuse_conn_put:fuse_free_conn:deactivate_locked_super:cleanup_mnt:task_work_run"),
    ],
    "lockdep-circular": [
        ("lockdep", "possible deadlock in fuse_dax_break_layouts",
         "fuse_dax_break_layouts:fuse_do_setattr:fuse_setattr:notify_change:do_truncate"),
    ],
    "kasan-uaf": [
        ("kasan", "KASAN: slab-use-after-free Read in fuse_dev_do_write",
         "fuse_dev_do_write:fuse_dev_write:vfs_write:ksys_write"),
    ],
    "kfence": [
        ("kfence", "KFENCE: use-after-free read in fuse_request_end",
         "fuse_request_end:fuse_dev_do_write:vfs_write"),
    ],
    "ubsan": [
        ("ubsan", "UBSAN: array-index-out-of-bounds in ext4_ext_insert_extent",
         "ext4_ext_insert_extent:ext4_ext_map_blocks:ext4_map_blocks"),
    ],
    "kmemleak": [
        ("kmemleak", "memory leak in fuse_fs_context_init",
         "fuse_fs_context_init:do_new_mount:__x64_sys_mount"),
        ("kmemleak", "memory leak in fuse_parse_param", "fuse_parse_param:vfs_parse_fs_param"),
        ("kmemleak", "kmemleak: new suspected memory leaks (see /sys/kernel/debug/kmemleak)", ""),
    ],
    "hung-task": [
        ("hung-task", "INFO: task hung in __fuse_simple_request",
         "__fuse_simple_request:request_wait_answer:fuse_flush:filp_flush:__x64_sys_close"),
        ("hung-task", "INFO: task hung in sync_inodes_sb",
         "sync_inodes_sb:folio_wait_bit_common:folio_wait_writeback:__filemap_fdatawait_range"),
    ],
    "rcu-stall": [
        ("rcu-stall", "INFO: rcu detected stall in fuse_readahead",
         "fuse_readahead:read_pages:page_cache_ra_unbounded:filemap_get_pages:filemap_read"),
    ],
    "soft-lockup": [
        ("soft-lockup", "BUG: soft lockup in fuse_request_end",
         "fuse_request_end:fuse_dev_do_read:fuse_dev_read:vfs_read:ksys_read"),
    ],
    "oom": [("oom", "Out of memory: Killed process (fuse4fs)", "filemap_fault:__do_fault:do_fault")],
    "interleaved": [("oops", IN_READPAGE, READPAGE), ("warn", "WARNING in fuse_entry_unlinked", UNLINK)],
    # Of our own kernel, with CONFIG_PRINTK_CALLER and CONFIG_UNWINDER_ORC.
    "warn-caller": [("warn", "WARNING in fuse_rename2", RENAME)],
    "oops-caller": [("oops", f"{NULL} in fuse_symlink", SYMLINK), ("panic", "kernel panic: Fatal exception", "")],
    "two-at-once": [
        ("warn", "WARNING in fuse_rename2", RENAME),
        ("warn", "WARNING in fuse_unlink", "fuse_unlink:vfs_unlink:do_unlinkat:__x64_sys_unlink"),
    ],
    # Words that are known by themselves inside a WARN().
    "warn-of-known-words": [
        ("bug", "VFS: Busy inodes after unmount (use-after-free)",
         "generic_shutdown_super:kill_anon_super:fuse_kill_sb_anon:deactivate_locked_super:cleanup_mnt"),
    ],
    # Several traces, and the first is not of the CPU that stalls.
    "rcu-stall-starved": [
        ("rcu-stall", "INFO: rcu detected stall in fuse_send_writepage",
         "fuse_send_writepage:fuse_flush_writepages:fuse_writepages_send:fuse_writepages:do_writepages"),
    ],
    "lock-held-user": [
        ("lockdep", "WARNING: lock held when returning to user space in fuse_reverse_inval_entry",
         "fuse_reverse_inval_entry"),
    ],
    # In the middle of a program's line.
    "panic-midline": [
        ("panic", "kernel panic: Attempted to kill init!",
         "do_exit:do_group_exit:get_signal:arch_do_signal_or_restart"),
    ],
    # Three lines before it only sound like one.
    "warning-words": [
        ("ubsan", "UBSAN: shift-out-of-bounds in fuse_fill_super_common", "fuse_fill_super_common:fuse_fill_super"),
    ],
    "nested": [("warn", "WARNING in fuse_entry_unlinked", UNLINK), ("oops", IN_READPAGE, READPAGE)],
}  # fmt: skip


def log(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_text()


def found(messages: str) -> list[tuple[str, str, str]]:
    return [(block.kind, block.title, fingerprint(block)) for block in splat_blocks(messages)]


ANY = SplatPattern.model_validate({"pattern": "x", "class": "warn", "why": "whatever"})


def block(kind: str = "warn", title: str = "WARNING: fs/inode.c at drop_nlink", text: str = "") -> Block:
    return Block(next(known for known in CLASSES if known == kind), title, text, ANY)


def test_every_log_is_read() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(LOGS)


@pytest.mark.parametrize("name", LOGS)
def test_splats_of_a_log_have_class_title_and_fingerprint(name: str) -> None:
    assert found(log(name)) == LOGS[name]


@pytest.mark.parametrize("name", sorted(set(LOGS) - {"interleaved", "rcu-stall", "panic-midline", "warning-words"}))
def test_times_and_callers_change_nothing(name: str) -> None:
    bare = "".join(re.sub(r"^\[ *[\d.]+\](\[ *[TC]\d+\])? ?", "", line) + "\n" for line in log(name).splitlines())
    called = "".join(f"[    1.000000][    C1] {line}\n" for line in bare.splitlines())
    levelled = "".join(f"<4>[    1.000000] {line}\r\n" for line in bare.splitlines())
    assert found(bare) == found(called) == found(levelled) == LOGS[name]


@pytest.mark.parametrize("name", LOGS)
def test_ordinary_messages_around_it_change_nothing(name: str) -> None:
    assert found(console(*[""] * 3) + log(name) + console()) == LOGS[name]


@pytest.mark.parametrize("name", ["warn-7.0", "gpf-kasan", "kasan-uaf", "soft-lockup", "hung-task", "bug-on", "oom"])
def test_words_of_another_cpu_in_between_change_nothing(name: str) -> None:
    lines = [re.sub(r"^(\[ *[\d.]+\])(?!\[)", r"\1[   C1]", line) for line in log(name).splitlines()]
    assert found("\n".join(line for one in lines for line in (one, OTHER))) == LOGS[name]


def test_a_warning_without_callers_survives_words_in_between() -> None:
    other = OTHER.replace("[  T333]", "")
    assert found("\n".join(line for one in log("warn-6.12").splitlines() for line in (one, other))) == LOGS["warn-6.12"]


def test_a_splat_is_whole_and_no_more() -> None:
    (warning,) = splat_blocks(log("warn-6.12"))
    assert warning.text.startswith("------------[ cut here ]------------\nWARNING: CPU: 0 PID: 1842 at fs/inode.c:417")
    assert warning.text.endswith("---[ end trace 0000000000000000 ]---")
    (deadlock,) = splat_blocks(log("lockdep-circular"))
    assert deadlock.text.startswith("======") and deadlock.text.endswith(" </TASK>")
    (freed,) = splat_blocks(log("kasan-uaf"))
    assert freed.text.startswith("======") and freed.text.endswith("======") and "Freed by task 602:" in freed.text
    (stall,) = splat_blocks(log("rcu-stall"))
    assert "EXT4-fs" not in stall.text and "NMI backtrace for cpu 1" in stall.text


def test_two_cpus_are_taken_apart() -> None:
    oops, warning = splat_blocks(log("interleaved"))
    assert "drop_nlink" not in oops.text and "fuse_do_readpage" not in warning.text


def test_a_log_that_ends_in_the_middle_tells_what_there_is() -> None:
    cut = log("oops-null").split("filemap_get_pages")[0]
    assert found(cut) == [("oops", IN_READPAGE, "fuse_do_readpage:fuse_read_folio:filemap_read_folio")]
    assert found(log("oops-null").split("Call Trace")[0]) == [("oops", IN_READPAGE, "fuse_do_readpage")]


def test_a_kernels_last_word_before_its_console_stops_is_enough() -> None:
    assert found("[   12.500000] BUG: kernel NULL pointer dereference, addr") == [("oops", NULL, "")]


def test_cut_here_without_a_known_headline_is_still_a_splat() -> None:
    said = "------------[ cut here ]------------\nsomething new is wrong at 0xffff888107a2b000\n---[ end trace 0 ]---\n"
    assert found(said) == [("warn", "something new is wrong at", "")]


def test_a_message_of_several_lines_is_one_splat_each() -> None:
    assert found(r"[    1.000000] x\x0aWARNING: possible recursive locking detected\x0ay")[0][0] == "lockdep"


def test_the_same_crash_has_one_fingerprint_whatever_the_build() -> None:
    (one,), (other,) = splat_blocks(log("oops-null")), splat_blocks(log("oops-null-again"))
    assert one.text != other.text
    assert (one.title, fingerprint(one)) == (other.title, fingerprint(other))


def test_guesses_modules_and_halves_of_functions_are_not_in_a_fingerprint() -> None:
    trace = "Call Trace:\n ? guess+0x1/0x2\n a.isra.0+0x1/0x2 [fuse]\n a+0x9/0x20\n b.part.0.cold+0x1/0x2\n"
    assert fingerprint(block(text=trace)) == "a:b"


def test_where_all_is_noise_the_noise_is_told() -> None:
    assert fingerprint(block(text="Call Trace:\n dump_stack+0x1/0x2\n panic+0x1/0x2\n")) == "dump_stack:panic"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("WARNING: CPU: 0 PID: 1842 at fs/inode.c:417 drop_nlink+0x2f/0x40",
         "WARNING: fs/inode.c:422 at drop_nlink+0x31/0x50, CPU#1: rm/6064"),
        ("BUG: scheduling while atomic: fsx/1/0x00000002", "BUG: scheduling while atomic: fsx/77/0x00000003"),
        ("INFO: task kworker/u8:3:77 blocked for more than 120 seconds.",
         "INFO: task kworker/0:1:5 blocked for more than 245 seconds."),
        ("watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [fsx:1811]",
         "watchdog: BUG: soft lockup - CPU#0 stuck for 48s! [fsx:12]"),
        ("Oops: 0000 [#1] PREEMPT SMP NOPTI", "Oops: 0000 [#2] SMP"),
        ("UBSAN: shift in /src/fs/fuse/dir.c:9:1", "UBSAN: shift in fs/fuse/dir.c:8:3"),  # where it was built
    ],
)  # fmt: skip
def test_titles_of_the_same_crash_are_the_same(one: str, other: str) -> None:
    assert shortened(one) == shortened(other) != ""


def test_of_several_splats_the_cause_is_told_before_what_follows() -> None:
    for name, kind in (("panic-after-oops", "oops"), ("nested", "oops"), ("interleaved", "oops")):
        assert (worst := judge(splat_blocks(log(name))).worst) and worst.kind == kind
    both = judge(splat_blocks(log("hung-task") + log("warn-6.12"))).worst
    assert both and both.kind == "warn"


ALLOWED = AllowedSplat(
    pattern="at drop_nlink",
    reason="the unpatched kernel does it too",
    link="https://x.org/1",
    until=datetime.date(2026, 6, 30),
)


@pytest.fixture
def one_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reviewbot.crash.splats.load_splats", lambda: RULES.model_copy(update={"allowed": (ALLOWED,)}))


@pytest.mark.usefixtures("one_allowed")
def test_an_allowed_splat_is_no_crash_and_says_why() -> None:
    sentence = judge([block()], datetime.date(2026, 6, 30))
    assert (sentence.worst, sentence.crash, sentence.allowed) == (None, False, (block(),))
    assert sentence.note.endswith("the unpatched kernel does it too (https://x.org/1)")


@pytest.mark.usefixtures("one_allowed")
def test_an_expired_entry_no_longer_allows_and_is_said() -> None:
    sentence = judge([block()], datetime.date(2026, 7, 1))
    assert sentence.crash and sentence.worst == block() and sentence.allowed == ()
    assert sentence.note.startswith("it was allowed until 2026-06-30 only")


@pytest.mark.usefixtures("one_allowed")
def test_an_allowed_splat_excuses_no_other_and_may_be_known_by_a_line() -> None:
    day = datetime.date(2026, 1, 1)
    assert judge([block(), block("oops", NULL)], day).worst == block("oops", NULL)
    assert judge([block(title="x", text="y\nWARNING: z at drop_nlink\n")], day).worst is None


WORDS = st.sampled_from(
    [
        *log("nested").splitlines(),
        *log("rcu-stall").splitlines(),
        *log("kasan-uaf").splitlines(),
        *CRASHES,
        *WAITING,
        "",
    ]
)


@given(st.text() | st.lists(WORDS | st.text(max_size=40), max_size=60).map("\n".join))
def test_no_console_breaks_the_search(said: str) -> None:
    for one in splat_blocks(said):
        assert one.kind in CLASSES and one.title and "\n" not in one.title and len(one.title) <= 200
        assert fingerprint(one).count(":") < 5 and "\n" not in fingerprint(one)


@given(st.lists(st.integers(0, 400), max_size=30))
def test_no_line_is_in_two_splats(places: list[int]) -> None:
    """Whatever is lost of a log."""
    lines = [f"{n}: {line}" for name in LOGS for n, line in enumerate(log(name).splitlines())]
    lines = [line.partition(": ")[2] for n, line in enumerate(lines) if n not in places]
    assert sum(one.text.count("\n") + 1 for one in splat_blocks("\n".join(lines))) <= len(lines)

# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host makes of a step's servers: sanitisers' reports made by gcc 12, gdb's words on a core, logs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot import config
from reviewbot.config import load_servers
from reviewbot.crash.sanitizers import MAX_REPORTS, backtrace, reports
from reviewbot.lab.servers import forget, served, server_errors
from reviewbot.model.deaths import SANITIZERS, in_words
from reviewbot.model.errors import ConfigError

GOLDEN = Path(__file__).parents[1] / "golden"
TRACE = (GOLDEN / "servers" / "gdb-sigabrt.txt").read_text()
REPORTS = {
    "asan-use-after-free": ("asan", 25720, "heap-use-after-free, READ", "op_read:fuse_lib_read"),
    "asan-overflow": ("asan", 25805, "heap-buffer-overflow, WRITE", "op_write"),
    "asan-no-symbols": ("asan", 6120, "heap-buffer-overflow, WRITE", "op_setxattr"),
    "asan-segv": ("asan", 25870, "SEGV", "op_readlink"),
    "lsan-leak": ("lsan", 25851, "detected memory leaks", "ext2fs_get_mem:op_init"),
    "tsan-race": ("tsan", 25933, "data race", "worker"),
    "ubsan": ("ubsan", 0, "ub.c: shift exponent N is too large for 32-bit type 'int'", ""),
    "ubsan-traced": ("ubsan", 0, "ub.c: shift exponent N is too large for 32-bit type 'int'", "op_getattr"),
    "msan": ("msan", 311, "use-of-uninitialized-value", "op_getattr:fuse_lib_getattr"),
}


def golden(name: str) -> str:
    return (GOLDEN / "servers" / f"{name}.log").read_text()


def leave(
    folder: Path, *, log: str = "", status: int = 139, signal: str = "SIGSEGV", pid: int = 311, trace: str = ""
) -> None:
    """What the agent sends of a server that died."""
    (folder / "server.log").write_text(log)
    (folder / "dead").mkdir(exist_ok=True)
    (folder / f"dead/{pid}").write_text(
        f"server fuse2fs\ndevice /dev/vdd\npid {pid}\nstatus {status}\nsignal {signal}\nmounted yes\n"
    )
    if trace:
        (folder / f"dead/{pid}.backtrace").write_text(trace)


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_has_class_process_title_and_fingerprint(name: str) -> None:
    found, _ = reports("FUSE2FS (vdd): before\n" + golden(name))
    first = found[0]
    assert (first.report.kind, first.pid, first.report.title, first.report.fingerprint) == REPORTS[name]
    assert len(first.report.text) <= 4096 and "Shadow byte" not in first.report.text
    assert {REPORTS[name][0] for name in REPORTS} == set(SANITIZERS)


def test_a_crash_in_libraries_without_symbols_is_the_same_wherever_they_are_loaded() -> None:
    log = golden("asan-no-symbols")
    elsewhere = log.replace("0x7fb3a", "0x7f11e").replace("0x55e0c", "0x560b3")
    (one, *_), _ = reports(log)
    (other, *_), _ = reports(elsewhere)
    assert elsewhere != log and one.report.fingerprint == other.report.fingerprint == "op_setxattr"


def test_functions_that_tsan_does_not_know_are_in_no_fingerprint() -> None:
    log = (
        "WARNING: ThreadSanitizer: data race (pid=7)\n  Write of size 4 at 0x7b04 by thread T2:\n"
        "    #0 <null> <null> (libfuse3.so.4+0x11a10)\n    #1 op_write <null> (fuse4fs+0x1234)\n\n"
    )
    assert reports(log)[0][0].report.fingerprint == "op_write"


def test_reports_in_a_row_are_apart_and_leave_the_rest_of_the_log() -> None:
    log = "one\n" + "".join(golden(name) for name in REPORTS) + "two\n"
    found, rest = reports(log)
    kinds = [entry.report.kind for entry in found]
    assert kinds == ["asan", "asan", "asan", "asan", "lsan", "tsan", "ubsan", "ubsan", "ubsan", "ubsan", "msan"]
    left = [line for line in rest if line.strip() and not line.startswith("=")]
    assert (left[0], left[-1]) == ("one", "two") and len(left) < 9, left


def test_the_same_fault_reads_the_same_at_other_addresses() -> None:
    log = golden("asan-use-after-free")
    other = log.replace("0x6030", "0x7f30").replace("25720", "99").replace("uaf.c:5", "uaf.c:77")
    (one,), (two,) = reports(log)[0], reports(other)[0]
    assert (one.report.title, one.report.fingerprint) == (two.report.title, two.report.fingerprint)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece",
    ["\n", "==1==ERROR: AddressSanitizer: x\n", "    #0 0x1 in f\n", "a:1: runtime error: x\n", "=" * 60 + "\n",
     "SUMMARY: x\n", "FUSE2FS (x): ", "#0 f ("],
)  # fmt: skip
def test_megabytes_of_junk_take_no_more_than_their_share(piece: str) -> None:
    junk = piece * (3_000_000 // len(piece))
    found, rest = reports(junk)
    assert len(found) <= MAX_REPORTS
    server_errors(rest[:100_000])
    backtrace(junk)


def test_a_backtrace_begins_where_the_fault_is() -> None:
    where, text = backtrace(TRACE)
    assert where == "op_read:fuse_lib_read:do_read:_do_read:fuse_session_process_buf_internal"
    assert text.startswith("Program terminated with signal SIGABRT") and "Thread 3" not in text
    handled = TRACE.replace("op_read (", "crash_handler (", 1).replace(
        "#5  ", "#5  <signal handler called>\n#6  0x01 in fuse_reply_err (req=0x0) at f.c:1\n#7  ", 1
    )
    assert backtrace(handled)[0].startswith("fuse_reply_err:")
    assert backtrace("[no gdb: No such file or directory]\n")[0] == ""


def test_a_death_has_its_signal_backtrace_and_the_last_words(tmp_path: Path) -> None:
    leave(tmp_path, log="== fuse2fs -f /dev/vdd\nFUSE2FS (vdd): the end\n", trace=TRACE, signal="SIGABRT", status=134)
    death = served(tmp_path, "").death
    assert death and (death.pid, death.status, death.mounted, death.log) == (311, 134, True, "FUSE2FS (vdd): the end")
    words = "op_read:fuse_lib_read:do_read:_do_read:fuse_session_process_buf_internal"
    assert in_words(death) == f"fuse2fs (pid 311) was killed by SIGABRT: {words}"


def test_a_report_belongs_to_the_death_of_its_process(tmp_path: Path) -> None:
    leave(tmp_path, log=golden("asan-segv") + golden("lsan-leak"), pid=25870, status=1, signal="")
    death = served(tmp_path, "").death
    assert death and death.report
    assert in_words(death) == (
        "fuse2fs (pid 25870) exited with status 1, still mounted: op_readlink (asan: SEGV); and 1 more"
    )
    assert death.others == (
        "a server (pid 25851) reported an error itself: ext2fs_get_mem:op_init (lsan: detected memory leaks)",
    )


def test_who_was_killed_for_lack_of_memory_is_known_by_its_process(tmp_path: Path) -> None:
    leave(tmp_path, status=137, signal="SIGKILL")
    for pid, by in ((311, "the kernel's OOM killer"), (3111, "")):
        dmesg = f"[    1.000000][T1] Out of memory: Killed process {pid} (fuse2fs) total-vm:1kB\n"
        death = served(tmp_path, dmesg).death
        assert death and death.by == by


def test_a_fault_that_a_server_outlives_is_found(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text(golden("ubsan"))
    death = served(tmp_path, "", "fuse4fs").death
    assert death and death.status is None
    assert in_words(death).startswith("fuse4fs reported an error itself (ubsan: ub.c: shift exponent N is too large")


def test_splats_of_the_kernel_in_lklfuse_count_as_any_others(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text((GOLDEN / "splats" / "warn-6.12.txt").read_text())
    death = served(tmp_path, "", "lklfuse").death
    assert death and death.report and death.report.kind == "warn" and death.fingerprint
    assert served(tmp_path, "", "fuse2fs").death is None, "other servers have no kernel"


def test_a_kernel_that_goes_down_with_lklfuse_is_no_fault(tmp_path: Path) -> None:
    """What it says at each unmount."""
    (tmp_path / "server.log").write_text(
        "[    0.000000] Linux version 6.0.0\n[    1.020000] reboot: Restarting system\n"
    )
    assert served(tmp_path, "", "lklfuse").death is None


def test_a_guest_that_sends_nonsense_gets_no_further(tmp_path: Path) -> None:
    assert served(tmp_path / "none", "") == served(tmp_path, "")
    leave(tmp_path, log="\x1b[2J\udcff".encode(errors="replace").decode(), signal="SIG\nEVIL", trace="#0  \0")
    (tmp_path / "dead/311").write_bytes(b"status 99999999999999\nsignal \xff\nserver " + b"x" * 100_000)
    (tmp_path / "dead/7").mkdir()
    (tmp_path / "dead/..").joinpath("dead/999999999999999").write_text("x")
    death = served(tmp_path, "").death
    assert death and (death.status, death.signal, len(death.server)) == (255, "", 100)
    forget(tmp_path)
    assert served(tmp_path, "").death is None


@given(st.lists(st.sampled_from([*"".join(map(golden, REPORTS)).splitlines(), *TRACE.splitlines(), "", "\ufffd"])))
def test_whatever_a_server_says_is_read_and_stays_in_its_bounds(lines: list[str]) -> None:
    found, rest = reports("\n".join(lines))
    assert len(rest) <= len(lines) + 1
    for entry in found:
        assert (
            len(entry.report.text) <= 4096 and len(entry.report.fingerprint) <= 300 and "\n" not in entry.report.title
        )
    where, text = backtrace("\n".join(lines))
    assert len(text) <= 4096 and len(where) <= 300 and where.count(":") < 5


def test_errors_in_a_log_are_counted_by_their_entry() -> None:
    log = [
        "FUSE2FS (vdd): mounted filesystem 1.",
        "FUSE2FS (vdd): EXT2 directory corrupted (inode #12) at op_readdir:4181.",
        "FUSE2FS (vdd): Inode checksum does not match inode (inode #13) at __op_read:3556.",
        "FUSE2FS (vdd): Remounting read-only due to errors.",
        "FUSE4FS: Corrupt in-memory data at op_read:3556!",
        "fuse4fs: fuse4fs.c:450: icache_relse: Assertion `fi->i_open_count == 0' failed.",
        "double free or corruption (out)",
        "fuse internal error: node 7 not found",
        "*** stack smashing detected ***: terminated",
        "[    1.000000] EXT4-fs error (device vda): ext4_lookup:1855: inode #2: comm lklfuse: deleted inode referenced",
    ]
    found = server_errors(log)
    assert [(error.kind, error.count) for error in found] == [
        ("corruption", 2),
        ("corruption", 1),
        *[("internal", 1)] * 5,
        ("corruption", 1),
    ]
    assert found[0].line == log[1]


def rules(folder: Path, text: str) -> Path:
    (folder / "servers.yaml").write_text(text)
    return folder / "servers.yaml"


ENTRY = "{pattern: '%s', class: %s, reason: long enough to tell, link: 'https://x'}"
WHOLE = [ENTRY % (kind, kind) for kind in ("internal", "corruption", "resources")]
NOISE = "noise: [{functions: [a], why: because}]\n"


def test_a_whole_file_loads(tmp_path: Path) -> None:
    assert len(load_servers(rules(tmp_path, f"{NOISE}errors: [{', '.join(WHOLE)}]")).errors) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "errors"),
        (f"{NOISE}errors: []", "errors"),
        (f"{NOISE}errors: [{WHOLE[0]}]", "no pattern of class corruption, resources"),
        (f"{NOISE}errors: [{', '.join([*WHOLE, WHOLE[0]])}]", "the same pattern twice: internal"),
        (f"errors: [{', '.join(WHOLE)}]", "noise"),
        (f"{NOISE}errors:\n  - {ENTRY % ('(', 'internal')}", r"servers.yaml:3: errors.0.pattern: .*not a regular"),
        (f"{NOISE}errors: [{{pattern: a, class: internal, link: 'https://x'}}]", "errors.0.reason"),
        (f"{NOISE}errors: [{{pattern: a, class: internal, reason: long enough}}]", "errors.0.link"),
        (f"{NOISE}errors: [{ENTRY % ('a', 'ouch')}]", "errors.0.class"),
    ],
)
def test_a_wrong_file_is_an_error_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_servers(rules(tmp_path, text))


def test_a_missing_file_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "SERVERS", "qemu/none.yaml")
    load_servers.cache_clear()
    with pytest.raises(ConfigError, match="no such file"):
        load_servers()


def test_a_server_that_hung_at_its_unmount_has_its_stack_and_did_not_die(tmp_path: Path) -> None:
    leave(tmp_path, trace="#0  __lll_lock_wait ()\n#1  op_destroy (p=0x0) at fuse2fs.c:1\n\n== all threads\n")
    (tmp_path / "dead/311").write_text("server fuse2fs\ndevice /dev/vdd\npid 311\nhung yes\n")
    death = served(tmp_path, "").death
    assert death and death.hung
    assert in_words(death).startswith("fuse2fs (pid 311) did not exit after it was unmounted: ")
    assert "op_destroy" in death.backtrace

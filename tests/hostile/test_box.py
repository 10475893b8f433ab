# SPDX-License-Identifier: GPL-2.0-or-later
"""A build that reaches for the host: each wall of docs/security.md is attacked from inside of a box."""

import ctypes
import os
import pty
import socket
import stat
from pathlib import Path

import pytest

from reviewbot.host.box import remove
from tests.hostile.callers import Caller

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
CALLS = r"""
use strict;
sub try {
	my ($name, $number, @with) = @_;
	push @with, 0 while @with < 6;
	print "$name=", (syscall($number, @with) < 0 ? $! + 0 : "done"), "\n";
}
my $text = "reviewbot-attack\0"; my $type = "user\0"; my $room = "\0" x 256; my $path = "/out\0";
"""
"""Perl: `try(name, number, arguments)` prints the error of a system call (x86-64)."""


def perl(body: str) -> str:
    return f"cat > /tmp/try.pl <<'END'\n{CALLS}{body}\nEND\nperl /tmp/try.pl"


def values(output: str) -> dict[str, str]:
    return {name: value for name, equals, value in (line.partition("=") for line in output.splitlines()) if equals}


def test_no_setting_of_the_kernel_can_be_written(caller: Caller) -> None:
    before = CORE_PATTERN.read_text()
    told, _ = caller.attack(
        "find /proc/sys -type f -writable 2> /dev/null;"
        "for file in kernel/core_pattern vm/drop_caches net/ipv4/ip_forward ../sysrq-trigger;"
        "do file=/proc/sys/$file; (cat /proc/sys/kernel/ostype > $file) 2> /dev/null && echo wrote $file; done;"
        "chmod u+w /proc/sys/kernel/core_pattern 2> /dev/null && echo changed;"
        "ls /sys 2> /dev/null; for all in $(find /proc/[a-z]* -type f -not -path '/proc/*self*' 2> /dev/null); do"
        " [ -w $all ] && echo writable $all; done;"
        "echo end"
    )
    assert [line for line in told.output.splitlines() if "/proc/self" not in line] == ["end"]
    assert CORE_PATTERN.read_text() == before


def test_neither_the_hosts_processes_nor_their_environment_are_seen(caller: Caller) -> None:
    told, _ = caller.attack(
        "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'; env;"
        "for one in /proc/[0-9]*; do echo process; done"
    )
    assert "s3cr3t" not in told.output and str(caller.home) not in told.output
    assert told.output.count("process\n") < 8


def test_files_of_the_caller_and_of_root_are_out_of_reach(caller: Caller) -> None:
    private = caller.home / "private"
    private.write_text("s3cr3t")
    private.chmod(0o600)
    os.chown(private, caller.uid, -1)
    told, out = caller.attack(
        f"cat {private} /etc/shadow; ls {caller.home} /home /root /etc; echo x > /usr/bin/x; echo x > /x; id -u;"
        "touch /out/mine; chown 0:0 /out/mine; chmod 4755 /out/mine; ls -ln /out/mine"
    )
    assert "s3cr3t" not in told.output and "root:" not in told.output
    assert not Path("/usr/bin/x").exists()
    assert told.output.splitlines()[-1].startswith("-rw-r--r-- 1 1000 1000"), "what it owns it cannot give away"
    assert (out / "mine").exists()


def test_what_a_box_writes_belongs_to_nobody_of_the_host(caller: Caller) -> None:
    _, out = caller.attack("mkdir -p /out/a/b; echo x > /out/a/b/c; ln -s / /out/a/root; mkfifo /out/a/fifo")
    owners = {path.lstat().st_uid for path in (out / "a", out / "a/b/c", out / "a/root")}
    if caller.name == "root":
        assert owners.isdisjoint({0, *range(65536)}) and len(owners) == 1
    else:
        assert owners == {caller.uid}, "given back to the caller"
    remove(out)
    assert not out.exists() and Path("/usr").is_dir()


SET_ID = r"""
umask 0; cd /out; for name in a b c d e f g h; do cp /usr/bin/true $name; done; mkdir folder
chmod u+s a; chmod g+s b; chmod 6755 c; chmod g+s folder
install -m 4755 /usr/bin/true i; cp --preserve=mode /usr/bin/su j; tar -C /usr/bin -cf - su | tar -xpf -
cat > /tmp/try.pl <<'END'
use Fcntl;
chmod(04755, "d");
open(H, "<", "e"); chmod(02755, *H);
sysopen(F, "k", O_CREAT|O_WRONLY, 06777); sysopen(G, "l", O_CREAT|O_RDWR|O_EXCL, 04777);
my @names = map { "$_\0" } qw(f g h m n);
syscall(90, $names[0], 04755);
syscall(268, -100, $names[1], 04755, 0);
syscall(452, -100, $names[2], 04755, 0);
syscall(133, $names[3], 0104755, 0);
syscall(437, -100, $names[4], pack("QQQ", O_CREAT|O_WRONLY, 04755, 0), 24);
END
perl /tmp/try.pl; find /out -perm /6000
"""


def test_no_set_uid_and_no_set_gid_bit_is_left_behind(caller: Caller) -> None:
    told, out = caller.attack(SET_ID)
    assert not [line for line in told.output.splitlines() if line.startswith("/out")]
    found = [path for path in out.rglob("*") if stat.S_IMODE(path.lstat().st_mode) & 0o6000]
    assert found == [] and (out / "a").exists()


def test_no_device_can_be_made_or_opened(caller: Caller) -> None:
    told, out = caller.attack(
        "cd /out; mknod disk b 8 0; mknod mem c 1 1; mknod kmsg c 1 11; mknod null c 1 3; ls -A; ls /dev;"
        + perl("""try("mknod", 133, $path, 0060644, 2048); try("mknodat", 259, -100, $path, 0020666, 259);""")
    )
    assert values(told.output) == {"mknod": "1", "mknodat": "1"}
    assert list(out.iterdir()) == []
    assert not {"kvm", "fuse", "mem", "sda", "vda", "loop-control", "kmsg"} & set(told.output.split())


REFUSED = """
try("add_key", 248, $type, $text, $text, 16, -3); try("request_key", 249, $type, $text, 0, 0);
try("keyctl", 250, 0, -3, 0);
try("mount", 165, $path, $path, 0, 4096); try("umount2", 166, $path, 2); try("pivot_root", 155, $path, $path);
try("open_tree", 428, -100, $path, 1); try("fsopen", 430, $text, 0); try("move_mount", 429, -100, $path, -100, $path);
try("bpf", 321, 0, $room, 64); try("perf_event_open", 298, $room, 0, -1); try("userfaultfd", 323, 1);
try("kexec_load", 246, 0, 0); try("init_module", 175, $room, 16, $text); try("finit_module", 313, 0, $text);
try("reboot", 169, 0xfee1dead, 672274793, 0); try("swapon", 167, $path); try("quotactl", 179, 0x80000100, $path);
try("acct", 163, $path); try("syslog", 103, 3, $room, 256); try("setns", 308, 0, 0);
try("unshare user", 272, 0x10000000);
try("unshare mount", 272, 0x20000); try("clone user", 56, 0x10000000 | 17); try("clone net", 56, 0x40000000 | 17);
try("open_by_handle_at", 304, -100, $room, 0); try("fanotify_init", 300, 0, 0); try("sethostname", 170, $text, 4);
try("iopl", 172, 3); try("clock_settime", 227, 0, $room); try("modify_ldt", 154, 0, $room, 16);
"""
UNKNOWN = """
try("clone3", 435, $room, 64); try("io_uring_setup", 425, 4, $room); try("io_setup", 206, 4, $room);
try("openat2", 437, -100, $path, $room, 24);
try("later", 600); try("much later", 1000);
"""


def test_system_calls_that_no_build_needs_are_refused(caller: Caller) -> None:
    told = values(caller.attack(perl(REFUSED))[0].output)
    assert len(told) == REFUSED.count("try(")
    assert {name for name, error in told.items() if error != "1"} == set()


def test_system_calls_that_programs_can_do_without_do_not_exist(caller: Caller) -> None:
    told = values(caller.attack(perl(UNKNOWN))[0].output)
    assert len(told) == UNKNOWN.count("try(") and set(told.values()) == {"38"}


def test_no_user_namespace_can_be_made_in_any_way(caller: Caller) -> None:
    told, _ = caller.attack(
        "for how in --user --mount --net --pid --ipc --uts --cgroup; do unshare $how true && echo made $how; done;"
        "unshare --user --map-root-user id -u && echo root; bwrap --unshare-user --ro-bind / / true && echo box;"
        "grep -E '^(CapEff|CapBnd|CapPrm|CapAmb|CapInh|NoNewPrivs|Seccomp):' /proc/self/status"
    )
    assert not {"made", "root", "box"} & set(told.output.replace(":", " ").split())
    status = {
        line.split(":")[0]: line.split()[-1] for line in told.output.splitlines() if line[:3] in ("Cap", "NoN", "Sec")
    }
    assert {int(value, 16) for name, value in status.items() if name.startswith("Cap")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_no_socket_leaves_the_box(caller: Caller) -> None:
    families = {"VSOCK": 40, "ALG": 38, "PACKET": 17, "KEY": 15, "XDP": 44, "CAN": 29, "TIPC": 30, "BLUETOOTH": 31}
    tries = "".join(
        f'try("{name}", 41, {number}, 1, 0); try("pair of {name}", 53, {number}, 1, 0, $room);'
        for name, number in families.items()
    )
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as abstract,
    ):
        name = f"reviewbot-{os.getpid()}"
        abstract.bind(f"\0{name}")
        abstract.listen()
        told, _ = caller.attack(
            f"(exec 3<>/dev/tcp/127.0.0.1/{server.getsockname()[1]}) 2> /dev/null && echo reached;"
            "perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); connect(S, pack_sockaddr_un(\"\\0"
            + name
            + "\")) and print \"reached\\n\"'; sed -n 's/^ *\\([a-z0-9]*\\):.*/device \\1/p' /proc/net/dev;"
            + perl(tries)
        )
    assert "reached" not in told.output
    assert [line for line in told.output.splitlines() if line.startswith("device")] == ["device lo"]
    assert set(values(told.output).values()) == {"97"} and len(values(told.output)) == 2 * len(families)


def test_no_program_of_the_host_is_started_for_the_core_of_a_crash(caller: Caller) -> None:
    """With a pipe as core_pattern the kernel starts one, outside of every box, unless the limit is 1."""
    told, _ = caller.attack(
        "ulimit -Sc 0; python3 -c 'import resource; resource.setrlimit(4, (0, 0))';"
        "sed -n 's/^Max core file size *//p' /proc/self/limits"
    )
    assert told.output.split()[-3:] == ["1", "1", "bytes"]


def test_the_terminal_is_out_of_reach(caller: Caller) -> None:
    master, slave = pty.openpty()
    try:
        told, _ = caller.attack(
            "(: < /dev/tty) 2> /dev/null && echo opened; for fd in 0 1 2; do [ -t $fd ] && echo terminal; done;"
            "ls -l /proc/self/fd | sed -n 's/.*-> //p';"
            + perl("""my $c = "x"; for my $fd (0, 1, 2) { try("sti $fd", 16, $fd, 0x5412, $c) }
                   try("linux", 16, 0, 0x541C, $c); try("discipline", 16, 0, 0x5423, $c);"""),
            terminal=slave,
        )
    finally:
        os.close(slave)
        os.close(master)
    assert not {"opened", "terminal"} & set(told.output.split())
    assert set(values(told.output).values()) == {"1"}
    links = [line for line in told.output.splitlines() if line.startswith(("/", "pipe", "socket"))]
    assert all(line.startswith(("/dev/null", "pipe:", "/proc/")) for line in links), "no file of the host is open"


def test_the_callers_keys_are_not_seen(caller: Caller) -> None:
    told = caller.run(
        "-c",
        "import ctypes, subprocess, sys; libc = ctypes.CDLL(None)\n"
        "libc.syscall(250, 1, None)\n"
        "assert libc.syscall(248, b'user', b'reviewbot-secret', b'x', 1, -3) > 0\n"
        "assert 'reviewbot-secret' in open('/proc/keys').read()\n"
        "import json, pathlib, tempfile\n"
        "from tests.hostile.attack import Wishes, main\n"
        "with tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder:\n"
        "    print(main(pathlib.Path(folder), Wishes('cat /proc/keys; echo end', {})).output)",
        str(caller.home),
    )
    assert told.returncode == 0, told.stderr
    assert "end" in told.stdout and "reviewbot-secret" not in told.stdout


REWRITE = r"""
echo first; : > /proc/self/fd/1
perl -e 'truncate(STDOUT, 0) and print "cut\n"; seek(STDOUT, 0, 0) and print "sought\n"'; echo last
"""


def test_the_log_cannot_be_rewritten_by_who_writes_it(caller: Caller) -> None:
    told, _ = caller.attack(REWRITE)
    assert [line for line in told.output.splitlines() if "/proc/self" not in line] == ["first", "last"]


def test_nothing_that_a_box_started_outlives_it(caller: Caller) -> None:
    seconds = f"{100_000 + os.getpid()}.{caller.uid}"
    told, _ = caller.attack(f"setsid sleep {seconds} & (setsid nohup sleep {seconds} &) ; disown -a; echo up")
    assert told.output == "up\n"
    alive = [path for path in Path("/proc").glob("[0-9]*/cmdline") if seconds.encode() in _read(path)]
    assert alive == []
    assert str(caller.home) not in Path("/proc/self/mountinfo").read_text(), "and nothing stays mounted"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="numbers of system calls are those of x86-64")
def test_programs_for_other_interfaces_of_the_kernel_cannot_call_it(caller: Caller) -> None:
    """The filter knows one numbering: calls by another (x32: bit 30) must not pass it by."""
    told = values(
        caller.attack(
            perl("""try("x32 unshare", 0x40000000 + 272, 0x10000000); try("x32 getpid", 0x40000000 + 39);""")
        )[0].output
    )
    assert set(told.values()) == {"38"}

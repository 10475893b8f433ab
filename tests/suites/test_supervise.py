# SPDX-License-Identifier: GPL-2.0-or-later
"""What the parent of a FUSE server notes of its end: the helper itself, with servers that end on purpose."""

import importlib.util
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from reviewbot.host.data import data_path

HELPER = data_path("qemu/helpers/mount.fuse.ext4")


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The guest's module that looks for servers that died."""
    monkeypatch.syspath_prepend(data_path("qemu/agent"))
    spec = importlib.util.spec_from_file_location("deaths", data_path("qemu/agent/deaths.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def end(folder: Path, script: str, *flags: str) -> dict[str, str]:
    """What is noted of a server that runs this script; flags: files that are there when it ends. Empty: no death."""
    (folder / "servers").mkdir(parents=True)
    (folder / "bin").mkdir()
    server = folder / "bin" / "fuse2fs"
    server.write_text(f"#!/bin/sh\n{script}\n")
    server.chmod(0o755)
    for flag in flags:
        (folder / flag).touch()
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    subprocess.run(
        ["sh", HELPER, "--supervise", "fuse2fs", "/dev/none", str(folder / "mnt"), "rw"], check=True, timeout=60,
        env={"PATH": path, "REVIEWBOT_RUN": str(folder)}, capture_output=True,
    )  # fmt: skip
    records = [path for path in folder.glob("dead/*") if path.name.isdigit()]
    deaths = (folder / "deaths").read_text().splitlines() if (folder / "deaths").exists() else []
    assert len(records) == len(deaths) <= 1
    assert (folder / "servers" / "none.status").read_text().strip().isdigit()
    assert not (folder / "servers" / "none.mounted").exists()
    return dict(line.partition(" ")[::2] for line in records[0].read_text().splitlines()) if records else {}


@pytest.mark.parametrize(("name", "status"), [("SEGV", 139), ("ABRT", 134), ("KILL", 137)])
def test_a_signal_is_a_death_by_its_name_mounted_or_not(tmp_path: Path, name: str, status: int) -> None:
    for number, flags in enumerate(((), ("servers/none.mounted",))):
        noted = end(tmp_path / str(number), f"kill -{name} $$", *flags)
        assert (noted["server"], noted["device"]) == ("fuse2fs", "/dev/none")
        assert (noted["status"], noted["signal"], noted["mounted"]) == (str(status), f"SIG{name}", "")
        assert noted["pid"].isdigit()


def test_another_status_than_0_is_a_death_of_a_server_that_served(tmp_path: Path) -> None:
    assert end(tmp_path / "a", "exit 23") == {}, "a mount that failed"
    assert end(tmp_path / "b", "exit 255") == {}, "no signal has that number"
    assert end(tmp_path / "c", "exit 0", "servers/none.mounted") == {}
    noted = end(tmp_path / "d", "exit 23", "servers/none.mounted")
    assert (noted["status"], noted["signal"]) == ("23", "")


@pytest.mark.parametrize("flag", ["aborted", "servers/none.given_up"])
def test_what_the_lab_ended_is_no_death(tmp_path: Path, flag: str) -> None:
    assert end(tmp_path, "kill -KILL $$", flag, "servers/none.mounted") == {}


def test_a_process_is_ending_from_the_signal_that_kills_it_until_its_parent_has_seen_the_end(deaths: Any) -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        pid = str(process.pid)
        assert not deaths.ending(pid)
        process.kill()
        assert deaths.ending(pid), "killed, and not buried"
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{pid}").exists() and deaths.ending(pid), "a zombie"
    assert deaths.ending(pid), "gone"


def test_a_server_that_ended_is_waited_for_while_its_supervisor_is_there(
    tmp_path: Path, deaths: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deaths, "RUN", str(tmp_path))
    monkeypatch.setattr(deaths, "DEAD", str(tmp_path / "dead"))
    monkeypatch.setattr(deaths, "ALONE", 0.1)
    (tmp_path / "servers").mkdir()
    (tmp_path / "dead").mkdir()
    with subprocess.Popen(["sleep", "1000"]) as supervisor, subprocess.Popen(["true"]) as server:
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
        (tmp_path / "servers" / "vdd.pid").write_text(f"{server.pid}\n")
        (tmp_path / "servers" / "vdd.supervisor").write_text(f"{supervisor.pid}\n")
        told: list[bool] = []
        waiting = threading.Thread(target=lambda: told.append(deaths.died()))
        waiting.start()
        time.sleep(0.5)  # longer than it would wait for nobody
        assert waiting.is_alive()
        (tmp_path / "dead" / str(server.pid)).write_text("signal SIGKILL\n")
        (tmp_path / "servers" / "vdd.status").write_text("137\n")
        waiting.join(60)
        assert told == [True]
        (tmp_path / "servers" / "vdd.status").unlink()
        supervisor.kill()
        assert deaths.died(), "the record is there"
        (tmp_path / "dead" / str(server.pid)).unlink()
        assert not deaths.died(), "nobody will say more"


MOUNTS = """\
/dev/vdb /mnt/test {kind} rw,relatime,user_id=0,group_id=0,default_permissions,allow_other 0 0
"""


@pytest.mark.parametrize("kind", ["fuse.ext4", "fuseblk.ext4"])
def test_a_server_is_waited_for_however_it_mounted(tmp_path: Path, kind: str) -> None:
    """umount's helper, with the mount table and umount(8) of another machine."""
    helper = (
        data_path("qemu/helpers/umount.fuse.ext4").read_text().replace("/proc/self/mounts", str(tmp_path / "mounts"))
    )
    (tmp_path / "helper").write_text(helper.replace('PATH="/stack/sbin:/stack/bin:', f'PATH="{tmp_path / "bin"}:'))
    (tmp_path / "mounts").write_text(MOUNTS.format(kind=kind))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "umount").write_text(
        f"#!/bin/sh\n: > {tmp_path / 'mounts'}\necho 0 > {tmp_path / 'servers' / 'vdb.status'}\n"
    )
    (tmp_path / "bin" / "umount").chmod(0o755)
    state = tmp_path / "servers" / "vdb"
    state.parent.mkdir()
    for name, words in (("pid", "1"), ("ended", "0.00")):
        state.with_name(f"vdb.{name}").write_text(f"{words}\n")
    done = subprocess.run(
        ["sh", str(tmp_path / "helper"), "/mnt/test"],
        env={"PATH": os.environ["PATH"], "REVIEWBOT_RUN": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "ledger").read_text().startswith("umount vdb 0 gone ")
    assert [path.name for path in data_path("qemu/helpers").glob("umount.fuse*")].count(f"umount.{kind}") == 1


SERVER = """#!/bin/sh
echo "$2 $3 {kind} rw,relatime,user_id=0,group_id=0 0 0" > {mounts}
echo $$ > {pid}
exec sleep 1000
"""


def mount(folder: Path, kind: str = "fuse.ext4", **programs: str) -> subprocess.CompletedProcess[str]:
    """mount's helper, with the mount table, the server and other programs of another machine."""
    mounts, device, place, binaries = (folder / name for name in ("mounts", "vdb", "mnt", "bin"))
    helper = HELPER.read_text().replace("/proc/self/mounts", str(mounts))
    (folder / "helper").write_text(helper.replace('PATH="/stack/sbin:/stack/bin:', f'PATH="{binaries}:'))
    (folder / "helper").chmod(0o755)
    for path in (place, binaries):
        path.mkdir()
    for file, words in ((mounts, ""), (device, ""), (folder / "server", "fuse4fs\n")):
        file.write_text(words)
    programs = {"fuse4fs": SERVER.format(kind=kind, mounts=mounts, pid=folder / "pid"), **programs}
    for name, script in programs.items():
        (binaries / name).write_text(script)
        (binaries / name).chmod(0o755)
    try:
        return subprocess.run(
            [folder / "helper", device, place, "-o", "rw"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": os.environ["PATH"], "REVIEWBOT_RUN": str(folder), "REVIEWBOT_MOUNT_LIMIT": "30"},
        )
    finally:
        with suppress(ProcessLookupError):
            os.kill(int((folder / "pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize(("kind", "status"), [("fuse.ext4", 0), ("fuseblk.ext4", 0), ("fuse.other", 32)])
def test_a_mount_is_taken_for_what_it_is(tmp_path: Path, kind: str, status: int) -> None:
    done = mount(tmp_path, kind)
    assert (done.returncode, (tmp_path / "ledger").exists()) == (status, status == 0), done.stderr
    assert status == 0 or f"mounted as {kind}" in done.stderr


def test_a_first_answer_that_is_an_error_is_no_silence(tmp_path: Path) -> None:
    done = mount(tmp_path, stat="#!/bin/sh\necho \"stat: '$2': Input/output error\" >&2\nexit 1\n")
    assert done.returncode == 32 and "no answer" not in done.stderr
    assert "the first answer of fuse4fs" in done.stderr and "Input/output error" in done.stderr


QUITTER = """#!/bin/sh
echo "$2 $3 fuse.ext4 rw,relatime,user_id=0,group_id=0 0 0" > {mounts}
echo $$ > {pid}
echo "fuse: this kernel cannot do it"
while [ ! -e {asked} ]; do sleep 0.01; done
: > {mounts}
: > {gone}
sleep 0.3
exit 3
"""


@pytest.mark.parametrize("answer", ["exit 0", "echo 'not connected' >&2; exit 1"])
def test_a_server_that_ends_at_once_says_why_itself(tmp_path: Path, answer: str) -> None:
    """It is not killed for a silence that there was not."""
    asked, gone = tmp_path / "asked", tmp_path / "gone"
    server = QUITTER.format(mounts=tmp_path / "mounts", pid=tmp_path / "pid", asked=asked, gone=gone)
    stat = f"#!/bin/sh\n: > {asked}\nwhile [ ! -e {gone} ]; do sleep 0.01; done\n{answer}\n"
    done = mount(tmp_path, stat=stat, fuse4fs=server)
    assert done.returncode == 32 and "no answer" not in done.stderr
    assert "ended with status 3" in done.stderr
    assert done.stderr.splitlines()[-1] == "fuse: this kernel cannot do it"


def test_a_server_that_is_silent_is_said_to_be(tmp_path: Path) -> None:
    done = mount(tmp_path, stat="#!/bin/sh\nexit 124\n")
    assert done.returncode == 32 and "did not respond within 30 s" in done.stderr


def test_a_silent_server_is_killed_before_umount_looks_at_its_folder(tmp_path: Path) -> None:
    """The look would wait for it, for ever: a request that the server has read cannot be interrupted."""
    alive = f"read -r pid <{tmp_path}/pid; kill -0 $pid 2>/dev/null && : >{tmp_path}/seen"
    umount = f"#!/bin/sh\n{alive}\n: >{tmp_path}/called\n"
    done = mount(tmp_path, stat="#!/bin/sh\nexit 124\n", umount=umount)
    assert done.returncode == 32 and (tmp_path / "called").exists() and not (tmp_path / "seen").exists()


def test_the_last_word_of_a_mount_that_failed_is_the_servers(tmp_path: Path) -> None:
    """And not what the shell says of the server that the lab ended."""
    why = "fuse4fs: bad superblock"
    server = SERVER.format(kind="fuse.ext4", mounts=tmp_path / "mounts", pid=tmp_path / "pid")
    told = server.replace("exec sleep", f"echo {why}\necho Killed\nexec sleep")
    done = mount(tmp_path, stat="#!/bin/sh\necho broken >&2\nexit 1\n", fuse4fs=told)
    assert done.returncode == 32 and done.stderr.splitlines()[-1] == why


def test_fstests_takes_a_block_device_mount_for_the_type_it_asked_for(tmp_path: Path) -> None:
    script = data_path("qemu/suites/fstests/tree").read_text()
    edit = next(line for line in script.splitlines() if "common/rc" in line)
    (tmp_path / "common").mkdir()
    (tmp_path / "common/rc").write_text(FS_TYPE)
    asked = f"tree={tmp_path}; {edit}; AWK_PROG=awk; . {tmp_path}/common/rc; _df_device() {{ echo vdb $1; }}; "
    kinds = ("fuseblk.ext4", "fuse.ext4", "ext4", "nfs4")
    asked += "".join(f"_fs_type {kind}; " for kind in kinds)
    done = subprocess.run(["bash", "-ec", asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fuse.ext4", "fuse.ext4", "ext4", "nfs"]


FS_TYPE = r"""
_fs_type()
{
    _df_device $1 | $AWK_PROG '{ print $2 }' | \
        sed -e 's/nfs4/nfs/' -e 's/fuse.glusterfs/glusterfs/' \
            -e 's/fuse.ceph-fuse/ceph-fuse/'
}
"""
"""As fstests has it."""


def test_a_new_mount_waits_for_the_last_word_on_the_server_before(tmp_path: Path) -> None:
    """Its supervisor would speak of the new one otherwise."""
    (tmp_path / "servers").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "mnt").mkdir()
    device = tmp_path / "disk"
    device.touch()
    server = tmp_path / "bin" / "fuse2fs"
    server.write_text("#!/bin/sh\necho no such filesystem\nexit 1\n")
    server.chmod(0o755)
    (tmp_path / "server").write_text("fuse2fs\n")
    env = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "REVIEWBOT_RUN": str(tmp_path)}
    with subprocess.Popen(["true"]) as dead, subprocess.Popen(["sleep", "1000"]) as supervisor:
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
        (tmp_path / "servers" / "disk.pid").write_text(f"{dead.pid}\n")
        (tmp_path / "servers" / "disk.supervisor").write_text(f"{supervisor.pid}\n")
        with subprocess.Popen(
            ["sh", HELPER, str(device), str(tmp_path / "mnt")],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as mount:
            time.sleep(1.0)
            assert mount.poll() is None and not (tmp_path / "server.log").exists(), "the new server is not started"
            supervisor.kill()
            supervisor.wait()
            said, _ = mount.communicate(timeout=60)
    assert mount.returncode == 32 and "no such filesystem" in said


def test_a_server_that_does_not_end_after_its_unmount_leaves_its_stacks_and_is_killed(tmp_path: Path) -> None:
    """umount's helper, with a server that sleeps, and the mount table and umount(8) of another machine."""
    script = data_path("qemu/helpers/umount.fuse.ext4").read_text()
    script = script.replace("/proc/self/mounts", str(tmp_path / "mounts"))
    (tmp_path / "helper").write_text(script.replace('PATH="/stack/sbin:/stack/bin:', f'PATH="{tmp_path / "bin"}:'))
    (tmp_path / "mounts").write_text(MOUNTS.format(kind="fuse.ext4"))
    (tmp_path / "server").write_text("fuse2fs\n")
    for folder in ("bin", "servers"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bin" / "umount").write_text(f"#!/bin/sh\n: > {tmp_path / 'mounts'}\n")
    (tmp_path / "bin" / "umount").chmod(0o755)
    state = tmp_path / "servers" / "vdb"
    supervisor = (
        f"sleep 1000 & echo $! > {state}.pid.new; mv {state}.pid.new {state}.pid; wait; echo 137 > {state}.status"
    )
    with subprocess.Popen(["sh", "-c", supervisor]) as served:
        while not Path(f"{state}.pid").exists():
            time.sleep(0.01)
        pid = Path(f"{state}.pid").read_text().strip()
        done = subprocess.run(
            ["sh", str(tmp_path / "helper"), "/mnt/test"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": os.environ["PATH"], "REVIEWBOT_RUN": str(tmp_path), "REVIEWBOT_UMOUNT_LIMIT": "1"},
        )
        served.wait(60)
    assert done.returncode == 2
    record = (tmp_path / "dead" / pid).read_text()
    assert record.splitlines() == ["server fuse2fs", "device /dev/vdb", f"pid {pid}", "hung yes"]
    assert "sleep" in (tmp_path / "dead" / f"{pid}.backtrace").read_text()
    assert f"fuse2fs (pid {pid}) of /dev/vdb did not exit within 1 s" in (tmp_path / "deaths").read_text()
    assert (tmp_path / "servers" / "vdb.given_up").exists(), "that it was killed is no death"

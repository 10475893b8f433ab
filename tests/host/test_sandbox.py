# SPDX-License-Identifier: GPL-2.0-or-later
"""The box, with this host's own /usr as its root: what a patch can do in it, and what it cannot."""

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reviewbot.host import limits, sandbox
from reviewbot.host.box import give, owner, remove
from reviewbot.host.process import CommandFailed, CommandTimeout, Completed, run
from reviewbot.host.sandbox import USER, Bind, BoxBroken, Sandbox, examine, overlays
from tests.host.roots import host_root


@dataclass(frozen=True, slots=True)
class Box:
    """A sandbox whose root has empty folders and the host's programs; /src and /out are bound."""

    folder: Path
    binds: dict[str, Bind]

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def sh(self, script: str, *, check: bool = True, timeout: float = 60, **env: str) -> Completed:
        (self.folder / "log").unlink(missing_ok=True)
        return Sandbox(self.folder / "root").run(
            ["bash", "-eu", "-c", script], binds=self.binds, log=self.folder / "log", log_limit=1 << 20,
            timeout=timeout, check=check, env=env,
        )  # fmt: skip


@pytest.fixture
def box(tmp_path: Path) -> Box:
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed")
    binds = host_root(tmp_path / "root")
    for name in ("source", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "source" / "file").write_text("of the tree\n")
    return Box(tmp_path, {**binds, "/src": Bind(tmp_path / "source"), "/out": Bind(tmp_path / "out", writable=True)})


def test_a_script_reads_the_source_and_leaves_its_product(box: Box) -> None:
    done = box.sh("pwd; cat file; cp file /out/product; echo scratch > /tmp/x")
    assert (done.status, done.output) == (0, "/src\nof the tree\n")
    assert (box.out / "product").read_text() == "of the tree\n"
    assert (box.folder / "log").read_text() == done.output


@pytest.mark.parametrize("path", ["/src/file", "/src/new", "/usr/new", "/new", "/obj/new", "/etc/new"])
def test_nothing_but_what_is_bound_writable_can_be_written(box: Box, path: str) -> None:
    assert box.sh(f"echo changed > {path}", check=False).status != 0
    assert (box.source / "file").read_text() == "of the tree\n"
    assert sorted(p.name for p in box.source.iterdir()) == ["file"]


def test_nothing_of_the_host_is_seen_but_the_binds(box: Box) -> None:
    said = box.sh("ls /; ls /dev; ls -A /tmp").output.split()
    assert not {"home", "root", "var", "work", "sda", "kvm", "fuse", "mem"} & set(said)
    assert box.sh(f"test -e {box.folder}", check=False).status == 1


def test_there_is_no_network(box: Box) -> None:
    devices = box.sh("cat /proc/net/dev").output.splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = f"exec 3<>/dev/tcp/127.0.0.1/{server.getsockname()[1]}"
        assert run(["bash", "-c", script], check=False).status == 0, "the host itself reaches it"
        assert box.sh(script, check=False).status != 0


def test_other_processes_are_not_seen(box: Box) -> None:
    pids = box.sh("for f in /proc/[0-9]*; do echo ${f#/proc/}; done").output.split()
    assert len(pids) <= 3


def test_there_are_no_capabilities_and_no_way_to_mount(box: Box) -> None:
    said = box.sh("cat /proc/self/status").output
    assert "CapEff:\t0000000000000000" in said and "CapBnd:\t0000000000000000" in said
    assert box.sh("mount -t tmpfs none /obj", check=False).status != 0


def test_the_user_of_the_box_owns_nothing_on_the_host(box: Box) -> None:
    private = box.source / "private"
    private.write_text("the caller's\n")
    private.chmod(0o600)
    done = box.sh("cat private", check=False)
    assert "Permission denied" in done.output
    assert box.sh("id -u").output == f"{USER}\n"
    box.sh("echo x > /out/file")
    made = (box.out / "file").stat().st_uid
    if os.geteuid() == 0:
        assert made == owner() > 65535
        with pytest.raises(KeyError):
            pwd.getpwuid(made)
    else:
        assert made == os.geteuid(), "given back"


@pytest.fixture(params=["overlays", "copies"])
def layers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How boxes see layers: the second way is that of machines without overlayfs."""
    monkeypatch.setattr(limits, "_rules", replace(limits.rules(), overlay=request.param == "overlays"))
    return str(request.param)


def test_a_layer_is_an_overlay_unless_the_site_does_without(box: Box, layers: str) -> None:
    for name in ("top", "low"):
        (box.folder / name).mkdir()
    give(box.folder / "low")
    box = replace(
        box, binds={**box.binds, "/obj": Bind(box.folder / "top", writable=True, lower=(box.folder / "low",))}
    )
    kinds = box.sh("stat --file-system --format %T /obj").output.split()
    assert (kinds == ["overlayfs"]) is (layers == "overlays") is overlays()


def test_changes_above_a_lower_layer_stay_above_it(box: Box, layers: str) -> None:
    top, low, lowest = (box.folder / name for name in ("top", "low", "lowest"))
    for folder, text in ((top, ""), (low, "low"), (lowest, "lowest")):
        folder.mkdir()
        if text:
            (folder / "both").write_text(text)
            (folder / text).write_text(text)
            give(folder)
    more = {**box.binds, "/obj": Bind(top, writable=True, lower=(low, lowest))}
    box = replace(box, binds=more)
    assert box.sh("cat /obj/both /obj/low /obj/lowest").output == "lowlowlowest"
    box.sh("rm /obj/lowest; echo new > /obj/made; mkdir -p /obj/folder; chmod 0 /obj/folder")
    assert box.sh("ls /obj").output.split() == ["both", "folder", "low", "made"], "kept as long as its folder"
    assert [path.name for path in sorted(lowest.iterdir())] == ["both", "lowest"]
    assert [path.name for path in sorted(low.iterdir())] == ["both", "low"]
    assert str(box.folder) not in Path("/proc/self/mountinfo").read_text()
    remove(top)
    assert not top.exists()


def test_layers_can_be_read_as_one_folder_that_nobody_changes(box: Box, layers: str) -> None:
    top, low = box.folder / "top", box.folder / "low"
    for folder in (top, low):
        folder.mkdir()
        (folder / "both").write_text(folder.name)
        (folder / folder.name).write_text(folder.name)
    box = replace(box, binds={**box.binds, "/obj": Bind(top, lower=(low,))})
    assert box.sh("cat /obj/both /obj/low /obj/top; ! touch /obj/new 2> /dev/null").output == "toplowtop"
    assert sorted(path.name for path in top.iterdir()) == ["both", "top"]


def test_a_deleted_name_is_never_seen_as_a_device(box: Box) -> None:
    top, low = box.folder / "top", box.folder / "low"
    for folder in (top, low):
        folder.mkdir()
    (low / "deleted").touch()
    os.mknod(top / "deleted", stat.S_IFCHR | 0o600, os.makedev(0, 0))
    too_many = (low,) * 400  # for overlayfs
    with pytest.raises(BoxBroken) as caught:
        replace(box, binds={**box.binds, "/obj": Bind(top, lower=too_many)}).sh("ls /obj")
    assert "layers: copied" in str(caught.value)


def test_a_machine_without_overlayfs_has_its_walls(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    two_layers = sandbox._two_layers

    def too_many(folder: Path) -> Bind:
        found = two_layers(folder)
        return replace(found, lower=found.lower * 400)

    monkeypatch.setattr(sandbox, "_two_layers", too_many)
    walls, overlaid = sandbox._examined.__wrapped__()
    assert (walls, overlaid) == (examine(), False)


def test_a_link_is_not_bound(box: Box) -> None:
    (box.folder / "victim").mkdir()
    (box.folder / "stack").symlink_to(box.folder / "victim")
    with pytest.raises(BoxBroken) as caught:
        replace(box, binds={**box.binds, "/stack": Bind(box.folder / "stack")}).sh("true")
    assert "symbolic link" in str(caught.value)


def test_what_a_box_wrote_can_be_removed_however_it_was_left(box: Box) -> None:
    (box.folder / "precious").mkdir()
    (box.folder / "precious" / "file").write_text("there")
    box.sh(
        f"cd /out; ln -s {box.folder}/precious link; mkfifo fifo; mkdir shut; touch shut/file; chmod 0 shut;"
        'perl -e \'for (1 .. 1500) { mkdir("d") && chdir("d") || die }\''
    )
    remove(box.out)
    assert not box.out.exists() and (box.folder / "precious" / "file").exists()
    remove(box.out)


def test_the_environment_is_made_from_scratch(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:secret@proxy")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    said = box.sh("env", TREE="abc").output
    assert "secret" not in said
    names = {line.split("=")[0] for line in said.splitlines()}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "HOME", "LC_ALL", "TZ", "JOBS", "TREE"}


def test_a_process_has_its_limits(box: Box) -> None:
    said = box.sh("ulimit -v; ulimit -f; ulimit -c").output.split()
    assert said == [str(12 << 20), str(8 << 20), "0"]


def test_a_script_that_fails_is_an_error_with_its_last_words_and_its_log(box: Box) -> None:
    with pytest.raises(CommandFailed) as caught:
        box.sh("echo first; echo 'a.c:1: error: x' >&2; exit 3")
    assert (caught.value.status, caught.value.log) == (3, box.folder / "log")
    assert caught.value.tail.endswith("a.c:1: error: x")


def sleeping(seconds: str) -> bool:
    """Whether any process of the host sleeps for just that long."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().split(b"\0")[:2] == [b"sleep", seconds.encode()]:
                return True
        except OSError:
            continue
    return False


def wait_until_gone(seconds: str) -> None:
    until = time.monotonic() + 30
    while sleeping(seconds) and time.monotonic() < until:
        time.sleep(0.05)
    assert not sleeping(seconds)


def test_a_script_that_takes_too_long_is_ended_with_all_its_children(box: Box) -> None:
    seconds = f"{100_000 + os.getpid()}.1"
    with pytest.raises(CommandTimeout):
        box.sh(f"setsid sleep {seconds} & trap '' TERM; echo up > /out/up; sleep {seconds}", timeout=10)
    assert (box.out / "up").exists()
    wait_until_gone(seconds)


def test_everything_in_the_box_dies_with_a_killed_parent(box: Box) -> None:
    seconds = f"{100_000 + os.getpid()}.2"
    binds = ", ".join(f"{to!r}: Bind(Path({str(b.path)!r}), writable={b.writable})" for to, b in box.binds.items())
    script = (
        "from pathlib import Path; from reviewbot.host.sandbox import Bind, Sandbox\n"
        f"Sandbox(Path({str(box.folder / 'root')!r})).run(['bash', '-c', 'setsid sleep {seconds} & echo up > /out/up;"
        f" sleep {seconds}'], binds={{{binds}}}, log=Path({str(box.folder / 'log')!r}), log_limit=1, timeout=2000)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        until = time.monotonic() + 60
        while not ((box.out / "up").exists() and sleeping(seconds)) and time.monotonic() < until:
            time.sleep(0.05)
        assert sleeping(seconds)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_until_gone(seconds)


def test_a_bind_may_go_where_the_root_has_no_folder(box: Box) -> None:
    (box.folder / "other").mkdir()
    (box.folder / "other" / "file").write_text("there\n")
    more = {**box.binds, "/other": Bind(box.folder / "other")}
    done = Sandbox(box.folder / "root").run(
        ["sh", "-c", "cat /other/file /src/file; ! touch /new; ! touch /other/new; ls -d /src /out"],
        binds=more,
        log=box.folder / "log",
        log_limit=1 << 20,
        timeout=60,
    )
    assert [line for line in done.output.splitlines() if "touch" not in line] == [
        "there",
        "of the tree",
        "/out",
        "/src",
    ]
    assert not (box.folder / "root" / "other").exists()


def test_stdout_can_be_kept_apart_and_has_its_limit(box: Box) -> None:
    out = box.folder / "stdout"
    done = Sandbox(box.folder / "root").run(
        ["sh", "-c", "echo said; echo complained >&2; head -c 100000 /dev/zero"],
        binds=box.binds,
        log=box.folder / "log",
        log_limit=1 << 20,
        timeout=60,
        stdout=out,
        file_size=5000,
        check=False,
    )
    assert done.output.startswith("complained\n")
    assert out.read_bytes().startswith(b"said\n") and out.stat().st_size == 5000

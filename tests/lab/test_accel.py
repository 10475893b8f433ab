# SPDX-License-Identifier: GPL-2.0-or-later
"""kvm or tcg, with a QEMU that only plays its part: no machine is booted here."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from reviewbot.host.process import ToolMissing
from reviewbot.host.sandbox import Running
from reviewbot.lab import accel, launch
from reviewbot.lab.accel import NoAccelerator, choose_accelerator, qemu_version
from reviewbot.lab.wires import Wires
from reviewbot.model.progress import Event
from reviewbot.model.verdict import ExitStatus

Policy = Literal["auto", "kvm", "tcg"]
QEMU = """\
#!/usr/bin/bash
[ "$1" = --version ] && {{ echo "QEMU emulator version {version} (Debian 1:7.2)"; exit; }}
log=$(echo "$*" | sed 's/.*id=early,path=.dev.fdset.\\([0-9]*\\).*/\\1/')
{act}
"""
BOOTS = 'echo "reviewbot-init: alive" >&"$log"; exec sleep 100'
BROKEN = 'echo "qemu: failed to initialize kvm: Operation not permitted" >&2; exit 1'


class Host:
    """A machine whose /dev/kvm is a plain file and whose QEMU is a script."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)  # QEMU is installed here, for everybody
        for name in ("bzImage", "root.img"):
            (folder / name).touch()
        self.folder, self.kvm = folder, folder / "kvm"
        self.probed: list[str] = []
        """The command line of each probe."""
        self.events: list[Event] = []
        self.kvm.touch()

    def qemu(self, act: str, version: str = "7.2.22") -> None:
        program = self.folder / "bin" / "qemu-system-x86_64"
        program.parent.mkdir(exist_ok=True)
        program.write_text(QEMU.format(version=version, act=act))
        program.chmod(0o755)

    def choose(self, policy: Policy = "auto") -> accel.Accelerator:
        where = self.folder / "bzImage", self.folder / "root.img", self.folder / "cache"
        return choose_accelerator(policy, *where, progress=self.events.append)

    @property
    def probes(self) -> int:
        return len(self.probed)

    @contextmanager
    def launched(self, argv: Sequence[str], wires: Wires, memory: int) -> Iterator[Running]:
        self.probed.append(" ".join(argv))
        with launch.launched(argv, wires, memory) as running:
            yield running


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(accel, "KVM", made.kvm)
    monkeypatch.setattr(launch, "KVM", made.kvm)
    monkeypatch.setattr(accel, "launched", made.launched)
    return made


def test_the_site_may_demand_emulation(host: Host) -> None:
    host.qemu(BOOTS)
    chosen = host.choose("tcg")
    assert (chosen.name, chosen.why, host.probes) == ("tcg", "the site file says so", 0)


def test_a_host_without_kvm_emulates_and_says_why(host: Host) -> None:
    host.qemu(BOOTS)
    host.kvm.unlink()
    chosen = host.choose()
    assert chosen.name == "tcg"
    assert f"there is no {host.kvm}" in chosen.why
    assert (host.probes, host.events) == (0, [])


def test_a_kvm_that_may_not_be_opened_is_not_tried(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.qemu(BOOTS)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may open anything
    assert "no permission to open" in host.choose().why
    assert host.probes == 0


def test_a_kernel_that_reaches_init_proves_kvm_and_the_answer_is_kept(host: Host) -> None:
    host.qemu(BOOTS)
    assert host.choose().name == "kvm"
    assert host.choose("kvm").name == "kvm"
    assert host.probes == 1
    assert [event.state for event in host.events] == ["start", "done"]
    (key,) = json.loads((host.folder / "cache" / "accelerator.json").read_text())
    assert "qemu 7.2.22" in key and os.uname().release in key


def test_the_probe_runs_the_real_kernel_with_kvm_on_a_read_only_disk(host: Host) -> None:
    host.qemu(BOOTS)
    host.choose()
    (said,) = host.probed
    assert "-kernel /proc/self/fd/" in said and "spawn=deny" in said
    assert "accel=kvm" in said and "readonly=on" in said and "reviewbot.probe" in said


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (BROKEN, "QEMU exited: qemu: failed to initialize kvm: Operation not permitted"),
        ("exit 3", "QEMU exited: status 3"),
        ("exec sleep 100", "a kernel printed nothing within 3 s"),
        ('echo "Linux version 7.1" >&"$log"; exec sleep 100', "a kernel reached the kernel but not init within 3 s"),
    ],
)
def test_a_kvm_that_runs_no_kernel_is_not_used_and_not_tried_again(
    host: Host, monkeypatch: pytest.MonkeyPatch, act: str, why: str
) -> None:
    monkeypatch.setattr(accel, "PROBE_LIMIT", 3.0)
    host.qemu(act)
    chosen = host.choose()
    assert chosen.name == "tcg" and why in chosen.why
    accel.confirm(chosen, host.folder / "cache")
    again = host.choose()
    assert (again.name, again.why) == (chosen.name, chosen.why)
    assert host.probes == 1


def test_a_kernel_that_boots_nowhere_does_not_speak_against_kvm(host: Host) -> None:
    host.qemu(BROKEN)
    assert host.choose().name == "tcg"  # and no guest answered after that
    host.qemu(BOOTS)
    assert host.choose().name == "kvm"


def test_a_confirmation_of_what_needs_none_changes_nothing(host: Host) -> None:
    host.qemu(BOOTS)
    accel.confirm(host.choose(), host.folder / "cache")
    assert host.choose().name == "kvm"


def test_a_kernel_that_ends_the_machine_right_after_init_began_has_proven_kvm(host: Host) -> None:
    host.qemu(BOOTS.replace("exec sleep 100", "exit 0"))
    assert host.choose().name == "kvm"


def test_another_qemu_is_tried_again(host: Host) -> None:
    host.qemu(BROKEN)
    accel.confirm(host.choose(), host.folder / "cache")
    assert host.choose().name == "tcg"
    host.qemu(BOOTS, version="9.0.0")
    assert host.choose().name == "kvm"
    assert len(json.loads((host.folder / "cache" / "accelerator.json").read_text())) == 2


@pytest.mark.parametrize("content", [b"", b"{broken", b"[]", b"null", b"\xff\xfe", b'{"another host": ""}'])
def test_a_damaged_answer_counts_as_none(host: Host, content: bytes) -> None:
    host.qemu(BOOTS)
    (host.folder / "cache").mkdir()
    (host.folder / "cache" / "accelerator.json").write_bytes(content)
    assert host.choose().name == "kvm"
    assert host.choose().name == "kvm"
    assert host.probes == 1


@pytest.mark.parametrize("broken", [True, False])
def test_kvm_that_is_demanded_and_does_not_work_is_an_error_with_a_hint(host: Host, broken: bool) -> None:
    host.qemu(BROKEN)
    if not broken:
        host.kvm.unlink()
    with pytest.raises(NoAccelerator, match="kvm is required, but ") as caught:
        host.choose("kvm")
    assert "accelerator: auto" in caught.value.hint
    assert caught.value.exit_status is ExitStatus.INFRA


def test_a_host_without_qemu_is_told_what_to_install(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(host.folder / "empty"))
    with pytest.raises(ToolMissing) as caught:
        host.choose("tcg")
    assert "qemu-system-x86" in caught.value.hint


def test_the_version_is_read_from_what_qemu_says(host: Host) -> None:
    host.qemu(BOOTS, version="9.2.0-rc1")
    assert qemu_version() == "9.2.0-rc1"
    (host.folder / "bin" / "qemu-system-x86_64").write_text("#!/bin/sh\necho nothing of the kind\n")
    assert qemu_version() == "unknown"

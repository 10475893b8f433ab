# SPDX-License-Identifier: GPL-2.0-or-later
"""What the parent of a FUSE server notes of its end: the helper itself, with servers that end on purpose."""

import os
import subprocess
from pathlib import Path

import pytest

from reviewbot.host.data import data_path

HELPER = data_path("qemu/helpers/mount.fuse.ext4")


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

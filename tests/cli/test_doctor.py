# SPDX-License-Identifier: GPL-2.0-or-later
"""What this machine has, as its user is told."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reviewbot.cli import doctor
from reviewbot.cli.doctor import PROGRAMS, Check, install_line
from reviewbot.host.process import PACKAGES
from reviewbot.lab.accel import qemu_version, this_host
from reviewbot.model.verdict import ExitStatus
from tests.command import called

NAMES = [
    "python",
    *(program for program, _, _ in PROGRAMS),
    "box: namespaces",
    "box: user",
    "box: sysctls",
    "box: user-namespaces",
    "box: system-calls",
    "box: terminal",
    "box: environment",
    "box: layers",
    "box: limits",
    "owners",
    "archive",
    "kvm",
    "machines",
    "memory",
    "disk",
    "cache",
    "site file",
]


def call(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """With a cache that is not there: a big one takes time to measure."""
    return called("doctor", *arguments, env={**os.environ, "REVIEWBOT_CACHE": "/nonexistent", **env})


@pytest.fixture
def path_without(tmp_path: Path) -> str:
    """A PATH with every program that doctor looks for but QEMU, which no folder of the system's PATH may hold."""
    if any(Path(folder, "qemu-system-x86_64").exists() for folder in ("/usr/sbin", "/sbin")):
        pytest.skip("QEMU is where doctor always looks")
    for program in (*(name for name, _, _ in PROGRAMS), "true", "perl", "sh"):
        found = shutil.which(program)
        if found and program != "qemu-system-x86_64":
            (tmp_path / program).symlink_to(found)
    return str(tmp_path)


def test_each_check_is_a_line_with_what_is_there() -> None:
    done = call()
    lines = [line for line in done.stdout.partition("\nInstall with:")[0].splitlines() if line]
    assert [line[2:].partition("  ")[0].strip() for line in lines] == NAMES
    assert {line[0] for line in lines} <= {"✓", "✗", "!"}
    assert ".".join(map(str, sys.version_info[:3])) in lines[0]
    assert done.stderr == ""
    assert done.returncode == (ExitStatus.INFRA if any(line[0] == "✗" for line in lines) else ExitStatus.PASS)


def test_json_says_the_same() -> None:
    done = call("--json")
    said = json.loads(done.stdout)
    assert [check["name"] for check in said["checks"]] == NAMES
    broken = [check for check in said["checks"] if check["required"] and not check["ok"]]
    assert done.returncode == (ExitStatus.INFRA if broken else ExitStatus.PASS)


def test_without_qemu_it_says_what_to_install(path_without: str) -> None:
    done = call(PATH=path_without)
    assert done.returncode == ExitStatus.INFRA
    (line,) = (line for line in done.stdout.splitlines() if "qemu-system-x86_64" in line)
    assert line.startswith("✗") and "not installed: boots the kernel under test" in line
    install = done.stdout.splitlines()[-1]
    assert install.startswith("Install with:  apt-get install --no-install-recommends ")
    assert "qemu-system-x86" in install.split()
    assert "Traceback" not in done.stderr


def test_without_any_program_every_package_is_named_and_nothing_breaks(tmp_path: Path) -> None:
    done = call("--json", PATH=str(tmp_path))
    said = json.loads(done.stdout)
    missing = {check["name"]: check["package"] for check in said["checks"] if not check["ok"] and check["package"]}
    assert {"git", "qemu-system-x86_64", "bwrap", "mmdebstrap"} <= set(missing)
    assert set(said["install"].split()) >= {PACKAGES[name] for name in missing}
    (sandbox,) = (check for check in said["checks"] if check["name"] == "box: namespaces")
    assert not sandbox["ok"]


def test_what_is_only_useful_does_not_fail_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not next(required for program, _, required in PROGRAMS if program == "public-inbox-httpd")
    monkeypatch.setattr(doctor, "Path", lambda name: Path("/nonexistent", name.lstrip("/")))
    check = doctor._kvm()
    assert (check.ok, check.required) == (False, False)
    assert "tcg" in check.says


def test_each_program_names_its_package() -> None:
    assert {program for program, _, _ in PROGRAMS} <= set(PACKAGES)


def test_the_install_line_names_each_missing_package_once() -> None:
    assert install_line((Check("git", True, "", "git"),)) == ""
    checks = (
        Check("b", False, "", "two"),
        Check("a", False, "", "one"),
        Check("c", False, "", "two"),
        Check("disk", False, "full"),
    )
    assert install_line(checks) == "apt-get install --no-install-recommends one two"


def test_a_malformed_site_file_is_named_with_its_line(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("accelerator: auto\narchiv: x\n")
    done = call(REVIEWBOT_SITE=str(site))
    assert done.returncode == ExitStatus.INFRA
    (line,) = (line for line in done.stdout.splitlines() if "site file" in line)
    assert line.startswith("✗") and f"{site}:2: archiv: unknown key" in line


@pytest.mark.parametrize("how", ["option", "variable"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        (
            "components:\n  libfuze: {provider: dir, path: /src}\n",
            ":2: components.libfuze: stack fuse has no component",
        ),
        ("components:\n  kernel: {provider: dir, path: gone}\n", "/gone does not exist"),
        ("components:\n  kernel: {provider: git, url: /gone.git}\n", "kernel: /gone.git does not exist"),
    ],
)
def test_a_site_file_that_a_run_would_refuse_is_not_fine(
    tmp_path: Path, text: str | None, words: str, how: str
) -> None:
    site = tmp_path / "site.yaml"
    if text is not None:
        site.write_text(text)
    done = call("--site", str(site)) if how == "option" else call(REVIEWBOT_SITE=str(site))
    assert done.returncode == ExitStatus.INFRA
    (line,) = (line for line in done.stdout.splitlines() if "site file" in line)
    assert line.startswith("✗") and str(site) in line and words in line


def test_a_site_file_is_shown_with_the_sources_it_replaces(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("components:\n  kernel: {provider: dir, path: linux}\n")
    (tmp_path / "linux").mkdir()
    done = call(REVIEWBOT_SITE=str(site), REVIEWBOT_CACHE=str(tmp_path / "not" / "yet"))
    assert f"{site}: kernel from dir" in done.stdout
    assert f"free for {tmp_path / 'not' / 'yet'} and " in done.stdout


@pytest.mark.parametrize(
    ("answer", "ok", "words"),
    [
        (None, True, "the first run checks whether it works"),
        ("", True, "has booted a kernel here"),
        ("QEMU exited: x failed", False, "does not work: QEMU exited: x failed; using emulation (tcg)"),
    ],
)
def test_what_a_run_found_out_about_kvm_is_said_and_marked(
    answer: str | None, ok: bool, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(doctor, "Path", lambda name: device if name == "/dev/kvm" else Path(name))
    monkeypatch.setenv("REVIEWBOT_CACHE", str(tmp_path))
    if answer is not None:
        host = this_host(qemu_version())
        (tmp_path / "accelerator.json").write_text(json.dumps({host: answer}))
    check = doctor._kvm()
    assert (check.ok, check.required) == (ok, False)
    assert words in check.says


def test_where_there_is_no_apt_get_no_apt_get_is_recommended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "_SEARCHED", str(tmp_path))
    line = install_line((Check("git", False, "", "git"),))
    assert "apt-get" not in line and "the Debian package names are: git" in line

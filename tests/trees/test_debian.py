# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian source packages, from this machine's own mirrors."""

import os
from pathlib import Path

import pytest

from reviewbot.host.apt import codename, machine_stanzas, parse_deb822, parse_one_line, sources_for
from reviewbot.model.errors import InfraError
from reviewbot.model.stack import Source
from reviewbot.trees import resolve
from reviewbot.trees.debian import AptRoot, holds_tarball
from tests.repos import git, stack_of

DEB822 = """\
# comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://mirror.example/off
Suites: bookworm
Enabled: no

Types: deb
URIs: https://deb.nodesource.example
Suites: nodistro
Components: main
"""


def test_the_machines_debian_archives_get_their_sources_too() -> None:
    text = sources_for("", "bookworm", parse_deb822(DEB822))
    assert text.count("Types: deb deb-src") == 1
    assert "Suites: bookworm bookworm-updates" in text
    assert "nodesource" not in text
    assert "/off" not in text
    assert text == sources_for("bookworm", "bookworm", parse_deb822(DEB822)), "named, it has the same updates"


def test_another_suite_comes_from_the_same_mirror() -> None:
    text = sources_for("trixie", "bookworm", parse_deb822(DEB822))
    assert "URIs: http://mirror.example/debian\n" in text
    assert "Suites: trixie\n" in text
    assert "Signed-By: /usr/share/keyrings/debian.gpg" in text


def test_one_line_entries_keep_their_options() -> None:
    (stanza,) = parse_one_line("# x\ndeb [arch=amd64 signed-by=/k.gpg] http://m/debian bookworm main contrib # y\n")
    assert stanza.get("URIs") == "http://m/debian"
    assert stanza.get("Signed-By") == "/k.gpg"
    assert stanza.get("Components").split() == ["main", "contrib"]


def test_a_machine_without_a_debian_archive() -> None:
    with pytest.raises(InfraError, match="no Debian archive"):
        sources_for("", "bookworm", parse_deb822("Types: deb\nURIs: http://x\nSuites: noble\n"))


@pytest.mark.parametrize(("package", "holds"), [("linux-source-6.12", True), ("fuse3", False), ("e2fsprogs", False)])
def test_which_packages_hold_a_tarball(package: str, holds: bool) -> None:
    assert holds_tarball(package) is holds


@pytest.mark.network
def test_a_source_package_from_the_mirror(tmp_path: Path) -> None:
    assert sources_for("", codename(), machine_stanzas())
    stack = stack_of({"libfuse": Source(provider="deb", package="fuse3")})
    first = resolve(None, {}, stack, components=["libfuse"], cache=tmp_path).trees[0]
    again = resolve(None, {}, stack, components=["libfuse"], cache=tmp_path).trees[0]
    assert first.base_commit == again.base_commit
    assert first.source.startswith("Debian package fuse3 3.")
    names = git(Path(first.repository), "ls-tree", "--name-only", first.base_commit).splitlines()
    assert {"meson.build", "lib", "include"} <= set(names)
    assert ".pc" not in names


@pytest.mark.network
def test_a_package_that_does_not_exist(tmp_path: Path) -> None:
    stack = stack_of({"libfuse": Source(provider="deb", package="no-such-package-here")})
    trees = resolve(None, {}, stack, components=["libfuse"], cache=tmp_path)
    assert "no Debian package no-such-package-here" in trees.unavailable["libfuse"]


@pytest.fixture
def own_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "reviewbot").mkdir()
    return tmp_path / "reviewbot" / "debian.sources"


def test_a_users_own_archive_replaces_the_machines(own_sources: Path) -> None:
    own_sources.write_text(DEB822.replace("bookworm", "forky"))
    assert codename() == "forky"
    assert sources_for("", codename(), machine_stanzas()) == sources_for(
        "", "forky", parse_deb822(own_sources.read_text())
    )


def test_a_users_own_file_without_archives_is_an_error(own_sources: Path) -> None:
    own_sources.write_text("# nothing yet\n")
    with pytest.raises(InfraError, match="names no archive"):
        codename()


def test_another_system_than_debian_is_told_what_to_write(own_sources: Path, tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n')
    with pytest.raises(InfraError, match="not Debian") as caught:
        codename(release)
    assert str(own_sources) in caught.value.hint


def test_the_archive_of_the_documents_is_understood(own_sources: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "site-file.md").read_text()
    own_sources.write_text(page.split("```\nTypes")[1].split("```")[0].join(("Types", "")))
    assert codename() == "bookworm"
    assert "URIs: https://deb.debian.org/debian" in sources_for("trixie", "bookworm", machine_stanzas())


def test_apt_is_asked_once_per_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, asked = AptRoot(tmp_path, "trixie"), list[str]()

    def apt(self: AptRoot, tool: str, *arguments: str) -> str:
        asked.append(arguments[-1])
        return f"Version: 3.17.{len(asked)}-1\n"

    monkeypatch.setattr(AptRoot, "update", lambda self: None)
    monkeypatch.setattr(AptRoot, "_apt", apt)
    root.folder.mkdir()
    (root.folder / "updated").touch()
    assert [root.version("fuse3") for _ in range(3)] == ["3.17.1-1"] * 3
    assert root.version("e2fsprogs") == "3.17.2-1"
    later = (root.folder / "versions" / "fuse3").stat().st_mtime + 10
    os.utime(root.folder / "updated", (later, later))
    assert root.version("fuse3") == "3.17.3-1", "the index was fetched again"
    (root.folder / "versions" / "e2fsprogs").write_text("")
    assert root.version("e2fsprogs") == "3.17.4-1"
    assert asked == ["fuse3", "e2fsprogs", "fuse3", "e2fsprogs"]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian source packages, through a private apt root made from this machine's own apt configuration."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, cast

from reviewbot.host.locks import locked
from reviewbot.host.process import CommandFailed, background, run
from reviewbot.model.errors import InfraError
from reviewbot.trees.importer import Entry, from_folder, from_tar

FRESH = 12 * 3600.0
"""Seconds for which a package index is taken as it is."""
_ETC = Path("/etc/apt")


@dataclass(frozen=True, slots=True)
class Stanza:
    """One entry of sources.list in the long (deb822) form."""

    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        return next((v for k, v in self.fields if k.lower() == name.lower()), "")

    def text(self, **changes: str) -> str:
        fields = {k: v for k, v in self.fields if k.lower() not in {c.lower() for c in changes}} | changes
        return "".join(f"{k}: {v}\n" for k, v in fields.items()) + "\n"


def parse_deb822(text: str) -> tuple[Stanza, ...]:
    """Stanzas of a `.sources` file; comments and disabled stanzas are left out."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        fields: list[tuple[str, str]] = []
        for line in block.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0] in " \t" and fields:
                name, value = fields[-1]
                fields[-1] = (name, f"{value}\n {line.strip()}")
            elif ":" in line:
                name, _, value = line.partition(":")
                fields.append((name.strip(), value.strip()))
        stanza = Stanza(tuple(fields))
        if stanza.get("URIs") and stanza.get("Enabled").lower() != "no":
            found.append(stanza)
    return tuple(found)


def parse_one_line(text: str) -> tuple[Stanza, ...]:
    """Entries of a `.list` file."""
    pattern = re.compile(r"^deb(?:-src)?\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<rest>.*)$")
    found = []
    for line in text.splitlines():
        if match := pattern.match(line.strip()):
            fields = [("URIs", match["uri"]), ("Suites", match["suite"]), ("Components", match["rest"].split("#")[0])]
            for option in (match["options"] or "").split():
                name, _, value = option.partition("=")
                fields.append(({"signed-by": "Signed-By", "trusted": "Trusted"}.get(name.lower(), name), value))
            found.append(Stanza(tuple(fields)))
    return tuple(found)


def machine_stanzas(etc: Path = _ETC) -> tuple[Stanza, ...]:
    """All entries of this machine's apt configuration."""
    found: list[Stanza] = []
    for path in sorted(etc.glob("sources.list.d/*.sources")):
        found += parse_deb822(path.read_text())
    for path in (etc / "sources.list", *sorted(etc.glob("sources.list.d/*.list"))):
        if path.exists():
            found += parse_one_line(path.read_text())
    return tuple(found)


def sources_for(suite: str, codename: str, stanzas: tuple[Stanza, ...]) -> str:
    """A `.sources` file for one suite, or (empty) for all suites of this machine's own release.

    Raises InfraError when the machine has no Debian archive configured.
    """
    own = [s for s in stanzas if any(name.split("-")[0] == codename for name in s.get("Suites").split())]
    if suite:
        main = next((s for s in own if codename in s.get("Suites").split()), None)
        own = [main] if main else []
    if not own:
        raise InfraError(f"no Debian archive for {codename} in {_ETC}", hint="reviewbot uses the machine's own mirrors")
    return "".join(s.text(Types="deb deb-src", **({"Suites": suite} if suite else {})) for s in own)


def codename() -> str:
    """This machine's Debian release, `bookworm`. Raises InfraError on other systems."""
    text = Path("/etc/os-release").read_text()
    match = re.search(r"^VERSION_CODENAME=\"?(\w+)", text, re.MULTILINE)
    if match is None:
        raise InfraError("this machine is not Debian", hint="give git, dir or tarball sources in the site file")
    return str(match[1])


class AptRoot:
    """apt with its own lists and cache in `folder`; the machine's are not touched."""

    def __init__(self, folder: Path, suite: str) -> None:
        self.folder = folder / (suite or "machine")
        self.suite = suite

    def _apt(self, tool: str, *arguments: str, cwd: Path | None = None) -> str:
        options = (
            "Dir::Etc::sourcelist=/dev/null",
            f"Dir::Etc::sourceparts={self.folder}/sources",
            f"Dir::State::lists={self.folder}/lists",
            f"Dir::Cache={self.folder}/cache",
            "APT::Sandbox::User=root",
            "Acquire::Languages=none",
        )
        words = [tool, *(w for o in options for w in ("-o", o)), *arguments]
        return run(words, cwd=cwd, timeout=1200, split=True).output

    def update(self) -> None:
        """Fetch the indexes, unless that was done in the last hours."""
        with locked(self.folder / "lock"):
            stamp = self.folder / "updated"
            wanted = sources_for(self.suite, codename(), machine_stanzas())
            listed = self.folder / "sources" / "reviewbot.sources"
            same = listed.exists() and listed.read_text() == wanted
            if same and stamp.exists() and time.time() - stamp.stat().st_mtime < FRESH:
                return
            for name in ("sources", "lists/partial", "cache/archives/partial"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            listed.write_text(wanted)
            self._apt("apt-get", "-qq", "update")
            stamp.touch()

    def version(self, package: str) -> str:
        """Newest version of the package (source package, or `linux-source-*` binary). Raises InfraError."""
        self.update()
        try:
            if holds_tarball(package):
                said = self._apt("apt-cache", "show", "--no-all-versions", package)
            else:
                said = self._apt("apt-cache", "showsrc", "--only-source", package)
        except CommandFailed as error:
            raise InfraError(f"no Debian package {package} in {self.suite or 'the configured suites'}") from error
        versions = re.findall(r"^Version: (\S+)", said, re.MULTILINE)
        if not versions:
            raise InfraError(f"no Debian package {package} in {self.suite or 'the configured suites'}")
        newest: str = versions[0]
        for version in versions[1:]:
            if run(["dpkg", "--compare-versions", version, "gt", newest], check=False).status == 0:
                newest = version
        return newest

    def _download_source(self, package: str, version: str, folder: Path) -> Path:
        """All files of a source package but detached signatures, which some mirrors leave out; the .dsc's path.

        apt verifies each file by the hash in the signed index.
        """
        listing = self._apt("apt-get", "-qq", "source", "--print-uris", f"{package}={version}", cwd=folder)
        for uri, name, digest in re.findall(r"^'(\S+)' (\S+) \d+ (\S+)$", listing, re.MULTILINE):
            if not name.endswith(".asc"):
                self._apt("/usr/lib/apt/apt-helper", "download-file", uri, str(folder / name), digest)
        dsc = next(folder.glob("*.dsc"))
        dsc.write_text("".join(line for line in dsc.read_text().splitlines(True) if not line.rstrip().endswith(".asc")))
        return dsc

    @contextmanager
    def files(self, package: str, version: str) -> Iterator[Iterator[Entry]]:
        """Download one version and give its files. Raises InfraError."""
        with TemporaryDirectory(prefix="deb-", dir=self.folder) as name:
            folder = Path(name)
            if holds_tarball(package):
                self._apt("apt-get", "-qq", "download", f"{package}={version}", cwd=folder)
                with _inner_tarball(next(folder.glob("*.deb"))) as tarball:
                    yield from_tar(tarball)
            else:
                dsc = self._download_source(package, version, folder)
                run(["dpkg-source", "--no-check", "-x", dsc, folder / "tree"], timeout=600)
                yield from_folder(folder / "tree")


def holds_tarball(package: str) -> bool:
    """Whether this is a binary package with a source tarball in /usr/src, as `linux-source-6.12` is."""
    return "-source-" in package


@contextmanager
def _inner_tarball(deb: Path) -> Iterator[IO[bytes]]:
    """The tarball inside a `linux-source-*` package, as a stream; nothing is unpacked to disk twice."""
    inner = deb.with_suffix(".inner")
    listing = run(["dpkg-deb", "--contents", deb], timeout=300).output
    match = re.search(r"\s(\./usr/src/\S+\.tar\.\w+)$", listing, re.MULTILINE)
    if match is None:
        raise InfraError(f"{deb.name} holds no source tarball in /usr/src")
    run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$0" | tar -xO "$1" > "$2"', deb, match[1], inner], timeout=600)
    if match[1].endswith(".xz"):
        # xz(1) decompresses in its own process while we read: half the time of doing it in ours.
        with background(["xz", "-dc", "-T0", inner], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            yield cast(IO[bytes], process.stdout)
            return
    with inner.open("rb") as file:
        yield file

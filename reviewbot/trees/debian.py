# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian source packages, through a private apt root made from this machine's own apt configuration."""

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, cast

from reviewbot.host.apt import codename, machine_stanzas, sources_for
from reviewbot.host.files import write_atomic
from reviewbot.host.locks import locked
from reviewbot.host.process import CommandFailed, background, no_room, run
from reviewbot.model.errors import DiskFull, InfraError
from reviewbot.trees.importer import Entry, from_folder, from_tar

FRESH = 12 * 3600.0
"""Seconds for which a package index is taken as it is."""


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
        try:
            return run(words, cwd=cwd, timeout=1200, split=True).output
        except CommandFailed as error:
            if no_room(self.folder, said=error.tail):
                raise DiskFull(str(self.folder)) from error
            raise

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
        """Newest version of the package (source package, or `linux-source-*` binary). Raises InfraError.

        Kept until the indexes are fetched again.
        """
        self.update()
        kept = self.folder / "versions" / package.replace("/", "_")
        with contextlib.suppress(OSError):
            if kept.stat().st_mtime_ns >= (self.folder / "updated").stat().st_mtime_ns and (known := kept.read_text()):
                return known
        newest = self._newest(package)
        with contextlib.suppress(OSError):  # it only saves time
            write_atomic(kept, newest)
        return newest

    def _newest(self, package: str) -> str:
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
        raise InfraError(f"{deb.name} has no source tarball in /usr/src")
    run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$0" | tar -xO "$1" > "$2"', deb, match[1], inner], timeout=600)
    if match[1].endswith(".xz"):
        # xz(1) decompresses in its own process while we read: half the time of doing it in ours.
        with background(["xz", "-dc", "-T0", inner], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            yield cast(IO[bytes], process.stdout)
            return
    with inner.open("rb") as file:
        yield file

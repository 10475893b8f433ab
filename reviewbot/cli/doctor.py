# SPDX-License-Identifier: GPL-2.0-or-later
"""What this machine has, and what to install."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reviewbot import lab
from reviewbot.config import Box, Site, load_site, load_stack
from reviewbot.host import cgroups
from reviewbot.host.apt import codename, debian_sources, machine_stanzas, sources_for
from reviewbot.host.paths import cache_dir, data_dir, site_file
from reviewbot.host.process import PACKAGES, CommandTimeout, run
from reviewbot.host.rootless import as_root
from reviewbot.host.sandbox import examine, overlays
from reviewbot.model.errors import ConfigError, InfraError
from reviewbot.model.words import sized
from reviewbot.store.cleaning import size_of

NEEDED_GIB = 12
"""Room for a kernel tree, its objects, the build root, the guest and some runs."""


_SEARCHED = "/usr/bin:/bin:/usr/sbin:/sbin"
"""Where apt-get is on a Debian, whatever the caller's PATH."""
_WORTH_SAYING = 100 << 20
"""Bytes of a part of the cache from which on it is named."""


@dataclass(frozen=True, slots=True)
class Check:
    """One finding about the machine."""

    name: str
    ok: bool
    says: str
    package: str = ""
    """Debian package that mends it."""
    required: bool = True


PROGRAMS = (
    # program, why, needed for every run
    ("git", "applies the patches", True),
    ("qemu-system-x86_64", "boots the kernel under test", True),
    ("mmdebstrap", "makes the build root and the guest", True),
    ("bwrap", "sandboxes everything a patch can influence", True),
    ("mke2fs", "makes disk images", True),
    ("xz", "unpacks source tarballs", True),
    ("dpkg-source", "unpacks Debian source packages", True),
    ("public-inbox-httpd", "serves the demo's posting", False),
)


def checks(site_path: Path | None = None) -> tuple[Check, ...]:
    """All checks, in the order a reader wants them. site_path: as for `load_site`."""
    return (
        _python(),
        *map(_program, PROGRAMS),
        *_box(site_path),
        _owners(),
        _archive(),
        _kvm(),
        _machines(site_path),
        _memory(),
        _disk(),
        _cache(),
        _site(site_path),
    )


def install_line(found: tuple[Check, ...]) -> str:
    """The one command that installs what is missing, or an empty string. Elsewhere than on Debian, what to look for."""
    packages = sorted({check.package for check in found if not check.ok and check.package})
    if not packages:
        return ""
    if shutil.which("apt-get", path=_SEARCHED) is None:
        return f"this system's package manager; the Debian package names are: {' '.join(packages)}"
    return f"apt-get install --no-install-recommends {' '.join(packages)}"


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", sys.version_info >= (3, 11), f"{version} (3.11 or newer is needed)", "python3")


def _program(entry: tuple[str, str, bool]) -> Check:
    program, why, required = entry
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        return Check(program, False, f"not installed: {why}", PACKAGES[program], required)
    return Check(program, True, _version(found) or found, required=required)


def _version(program: str) -> str:
    if Path(program).name in ("mke2fs", "public-inbox-httpd"):  # no --version
        return program
    try:
        said = run([program, "--version"], timeout=10, check=False).output
    except CommandTimeout:
        return program
    match = re.search(r"\d+(\.\d+)+", said)
    return match.group(0) if match else program


def _box(named: Path | None) -> Iterator[Check]:
    """Each wall of the box in which a stranger's code runs, tried from inside; and what limits it in sum."""
    try:
        box = load_site(named).box
    except ConfigError:
        box = Box()  # another line says so
    for wall in examine():
        waived = not wall.holds and wall.name in box.without
        says = f"{wall.says}; waived in the site file" if waived else wall.says
        yield Check(f"box: {wall.name}", wall.holds, says, "" if waived else wall.package, required=not waived)
    limits = box.rules.limits
    most = f"{limits.bytes_of_memory / 2**30:.1f} GiB, {limits.processes} processes, {limits.disk / 2**30:.0f} GiB disk"
    how = "an overlay on the cached build of base" if overlays() else "a copy of it: about ten seconds more per build"
    yield Check("box: layers", True, f"a posting is built in {how}", required=False)
    yield Check("box: limits", True, f"{most}; control groups: {cgroups.means().says}", required=False)


def _owners() -> Check:
    """Whether a Debian root, whose files have several owners, can be made."""
    try:
        words = as_root()
        if words:
            run([*words, "true"], timeout=10)
    except InfraError as error:
        return Check("owners", False, f"a Debian root cannot be made: {error}", "uidmap")
    return Check("owners", True, "user namespaces with subordinate ids (not root)" if words else "root")


def _archive() -> Check:
    try:
        sources_for("", codename(), machine_stanzas())
    except InfraError as error:
        return Check("archive", False, f"{error}: {error.hint}")
    where = debian_sources() if debian_sources().exists() else "/etc/apt"
    return Check("archive", True, f"Debian {codename()}, from {where}")


def _kvm() -> Check:
    device = Path("/dev/kvm")
    if not device.exists():
        return Check("kvm", False, "no /dev/kvm: emulation (tcg), 10 to 20 times slower", required=False)
    if not os.access(device, os.R_OK | os.W_OK):
        return Check("kvm", False, "no permission to open /dev/kvm: add yourself to its group", required=False)
    known = lab.answered_before(cache_dir())
    if known is None:
        return Check("kvm", True, "/dev/kvm can be opened; the first run checks whether it works", required=False)
    if known:
        return Check(
            "kvm", False, f"does not work: {known}; using emulation (tcg), 10 to 20 times slower", required=False
        )
    return Check("kvm", True, "works: /dev/kvm has booted a kernel here", required=False)


def _machines(named: Path | None) -> Check:
    """How machines start here, for each kind that ran."""
    try:
        known = lab.starts_here(cache_dir())
        never = load_site(named).machine.saved == "never"
    except (InfraError, ConfigError):
        known, never = {}, False  # other lines say so
    figures = "; ".join(f"{kind}: {starts.chosen(never=never)}" for kind, starts in known.items())
    untold = "always booted, as the site file says" if never else "the first run measures whether restoring is faster"
    return Check("machines", True, figures or untold, required=False)


def _memory() -> Check:
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Check("memory", gib >= 4, f"{gib:.0f} GiB, {os.cpu_count()} CPUs (4 GiB or more is needed)")


def _disk() -> Check:
    folder = cache_dir()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    return Check(
        "disk", free >= NEEDED_GIB, f"{free:.0f} GiB free for {cache_dir()} and {data_dir()} ({NEEDED_GIB} GiB needed)"
    )


def _cache() -> Check:
    """How much room is taken, and what takes most of it."""
    cache, runs = cache_dir(), data_dir() / "runs"
    parts = {path.name: size_of(path) for path in sorted(cache.iterdir())} if cache.is_dir() else {}
    most = sorted((name for name in parts if parts[name] >= _WORTH_SAYING), key=lambda name: -parts[name])[:3]
    said = ", ".join(f"{name} {sized(parts[name])}" for name in most)
    whole = f"{sized(sum(parts.values()))} in {cache}{f' ({said})' if said else ''}, {sized(size_of(runs))} in {runs}"
    return Check("cache", True, f"{whole}; `reviewbot gc` frees space", required=False)


def _site(named: Path | None) -> Check:
    """Whether the site file can be read, is about this stack, and names local sources that are there."""
    path = named or site_file()
    try:
        site = load_site(named)
        stack = load_stack("fuse", site)
    except ConfigError as error:
        return Check("site file", False, f"{error}{f' ({error.hint})' if error.hint else ''}")
    if not path.exists():
        return Check("site file", True, f"none ({path}): defaults", required=False)
    absent = [f"{name}: {place} does not exist" for name, place in _local(site) if not place.exists()]
    if absent:
        return Check("site file", False, f"{path}: {'; '.join(absent)}")
    overrides = ", ".join(f"{name} from {source.provider}" for name, source in site.components.items())
    whole = f"all components of stack {stack.name} from its own sources"
    return Check("site file", True, f"{path}: {overrides or whole}", required=False)


def _local(site: Site) -> Iterator[tuple[str, Path]]:
    """Components whose source is on this machine, and where."""
    for name, source in site.components.items():
        place = source.path if source.provider == "dir" else source.url
        if place.startswith("/"):
            yield name, Path(place)

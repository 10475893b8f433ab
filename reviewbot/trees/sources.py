# SPDX-License-Identifier: GPL-2.0-or-later
"""Bring a component's source into its cached bare repository."""

import difflib
import errno
import lzma
import re
import tarfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.apt import codename
from reviewbot.host.files import sha256_file
from reviewbot.host.git import find_commit, find_fetched, git
from reviewbot.host.process import CommandFailed, CommandTimeout, no_room, run
from reviewbot.model.errors import DiskFull, InfraError
from reviewbot.model.stack import Source
from reviewbot.trees.debian import AptRoot
from reviewbot.trees.errors import SourceUnreachable, telling
from reviewbot.trees.importer import Entry, from_tar, import_entries, import_folder

_FETCH_LIMIT = 3600.0
_LISTING = 120.0
_MAX_TARBALL = 4 << 30
_NO_SUCH_REF = re.compile(r"couldn't find remote ref|not our ref|no such remote ref", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True, slots=True)
class Origin:
    """A source that was reached."""

    label: str
    """One line for people."""
    default: str
    """Commit of the default ref."""
    default_name: str
    source: Source


def describe(source: Source) -> str:
    """One line that names the source, without asking anybody."""
    match source.provider:
        case "git":
            return f"git {source.url}"
        case "deb":
            return f"Debian package {source.package}" + (f" ({source.suite})" if source.suite else "")
        case "dir":
            return f"folder {source.path}"
        case "tarball":
            return f"tarball {source.url}"


def reach(component: str, source: Source, repository: Path, cache: Path) -> Origin:
    """Fetch or import the default base. Raises SourceUnreachable."""
    try:
        match source.provider:
            case "git":
                return _git(source, repository)
            case "deb":
                return _deb(source, repository, cache)
            case "dir":
                return _dir(source, repository)
            case "tarball":
                return _tarball(source, repository, cache)
    except DiskFull:
        raise
    except InfraError as error:
        said = error.tail if isinstance(error, CommandFailed) else ""
        raise SourceUnreachable(component, describe(source), _first_line(error), said=said) from error
    except (OSError, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise DiskFull(str(repository)) from error
        raise SourceUnreachable(component, describe(source), f"{_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    if isinstance(error, CommandFailed):
        return telling(error.tail) or str(error)
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _git(source: Source, repository: Path) -> Origin:
    ref = source.ref or "HEAD"
    commit = _listed(source.url, ref) or (ref if _HEX.fullmatch(ref) else "")
    known = find_fetched(repository, commit) if commit else None
    found = known or fetch(source, ref, repository)
    if found is None:
        raise InfraError(f"it has no {ref}")
    return Origin(describe(source), found, ref, source)


def _listed(url: str, ref: str, *, timeout: float = _LISTING) -> str:
    """What `git ls-remote` says the ref is. Raises CommandFailed when nobody answers."""
    said = run(["git", "-c", "safe.directory=*", "ls-remote", url, ref, f"{ref}^{{}}"],
               env={"GIT_TERMINAL_PROMPT": "0"}, timeout=timeout, split=True).output  # fmt: skip
    rows = [line.split("\t") for line in said.splitlines() if "\t" in line]
    peeled = [commit for commit, name in rows if name in (f"{ref}^{{}}", f"refs/tags/{ref}^{{}}")]
    exact = [commit for commit, name in rows if name in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}")]
    return (peeled or exact or [row[0] for row in rows] or [""])[0]


def fetch(source: Source, ref: str, repository: Path, *, timeout: float = _FETCH_LIMIT) -> str | None:
    """Fetch one commit, branch or tag of a git source; None when the source answers but has none such.

    Shallow where the other side allows it: a kernel's history is not needed to apply a series. A commit is also
    found when no branch reaches it, if the server gives commits by their id. timeout: seconds per request.
    """
    if (known := find_fetched(repository, ref)) and _HEX.fullmatch(ref) and len(ref) == 40:
        return known
    # Fetching shallowly what is here already would cut off the history that came with it.
    if not _HEX.fullmatch(ref) and (known := _known(source, ref, repository, timeout)):
        return known
    keep = f"refs/reviewbot/base/{re.sub(r'[^A-Za-z0-9]', '-', ref)}"
    depth: tuple[str, ...] = () if Path(source.url).is_file() else ("--depth=1",)  # a bundle has no depth
    url = Path(source.url).resolve().as_uri() if Path(source.url).is_dir() else source.url
    for extra in (depth, ()) if depth else ((),):
        done = git(
            repository,
            "fetch",
            "--quiet",
            "--no-tags",
            *extra,
            url,
            f"+{ref}:{keep}",
            check=False,
            env={"GIT_CONFIG_GLOBAL": str(Path.home() / ".gitconfig")},
            timeout=timeout,
        )
        if done.status == 0:
            return find_commit(repository, keep)
        if no_room(repository, said=done.errors):
            raise DiskFull(str(repository))
    if not _HEX.fullmatch(ref) and not _NO_SUCH_REF.search(done.errors):
        raise CommandFailed(done.argv, done.status, done.errors)
    if len(ref) == 40 and "not our ref" in done.errors:
        return None  # it gives commits by their id, and does not have this one
    if _HEX.fullmatch(ref):
        if known := find_commit(repository, ref):
            return known
        # This server gives no commit by its id: fetch all its branches and look.
        git(
            repository,
            "fetch",
            "--quiet",
            "--no-tags",
            url,
            "+refs/heads/*:refs/reviewbot/heads/*",
            check=False,
            timeout=timeout,
        )
        return find_commit(repository, ref)
    return None


def _known(source: Source, ref: str, repository: Path, timeout: float) -> str | None:
    try:
        commit = _listed(source.url, ref, timeout=min(timeout, _LISTING))
    except (CommandFailed, CommandTimeout):
        return None  # fetching will say why
    return find_fetched(repository, commit) if commit else None


def near_refs(source: Source, ref: str) -> tuple[str, ...]:
    """Names in a git source that look like `ref`."""
    if source.provider != "git":
        return ()
    try:
        said = run(["git", "-c", "safe.directory=*", "ls-remote", "--heads", "--tags", source.url],
                   env={"GIT_TERMINAL_PROMPT": "0"}, timeout=120, split=True).output  # fmt: skip
    except (CommandFailed, CommandTimeout):
        return ()
    names = {line.split("/", 2)[-1] for line in said.splitlines() if not line.endswith("^{}")}
    return tuple(difflib.get_close_matches(ref, sorted(names), n=3))


def _deb(source: Source, repository: Path, cache: Path) -> Origin:
    root = AptRoot(cache / "apt", source.suite)
    version = root.version(source.package)
    where = source.suite or codename()
    label = f"Debian package {source.package} {version} ({where})"
    ref = f"refs/reviewbot/deb/{_safe(source.package)}/{_safe(version)}"
    commit = find_commit(repository, ref)
    if commit is None:
        with root.files(source.package, version) as entries:
            commit = import_entries(repository, entries, ref, f"{source.package} {version}", source.exclude)
    return Origin(label, commit, version, source)


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9+-]", "_", name)


def _dir(source: Source, repository: Path) -> Origin:
    folder = Path(source.path)
    if not folder.is_dir():
        raise InfraError("no such folder")
    ref = "refs/reviewbot/dir/latest"
    commit = import_folder(repository, folder, ref, "imported folder", source.exclude)
    return Origin(describe(source), commit, "its files", source)


def _tarball(source: Source, repository: Path, cache: Path) -> Origin:
    path = _download(source, cache / "downloads") if "://" in source.url else Path(source.url)
    digest = sha256_file(path)
    if digest != source.sha256:
        if "://" in source.url:
            path.unlink(missing_ok=True)
        raise InfraError(f"its sha256 is {digest}, not {source.sha256}")
    ref = f"refs/reviewbot/tarball/{digest[:24]}"
    commit = find_commit(repository, ref)
    if commit is None:
        with path.open("rb") as file:
            entries: Iterator[Entry] = from_tar(file)
            commit = import_entries(repository, entries, ref, f"tarball sha256 {digest}", source.exclude)
    return Origin(describe(source), commit, "its files", source)


def _download(source: Source, folder: Path) -> Path:
    import requests  # costs every command 50 ms, and few ever need it

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{source.sha256}.tar"
    if not target.exists():
        part = target.with_suffix(".part")
        until = time.monotonic() + _FETCH_LIMIT
        size = 0
        with requests.get(source.url, stream=True, timeout=60) as answer, part.open("wb") as file:
            answer.raise_for_status()
            for block in answer.iter_content(1 << 20):
                size += len(block)
                if size > _MAX_TARBALL or time.monotonic() > until:
                    raise InfraError(f"it is larger than {_MAX_TARBALL >> 30} GiB, or takes more than an hour")
                file.write(block)
        part.rename(target)
    return target

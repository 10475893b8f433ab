# SPDX-License-Identifier: GPL-2.0-or-later
"""Which reviewbot this is: its version, and the commit that it was made of."""

import functools
import importlib.metadata
from pathlib import Path

from reviewbot import __version__
from reviewbot.host.data import data_path
from reviewbot.host.git import git_in
from reviewbot.host.process import CommandFailed, CommandTimeout, ToolMissing

_TOP = Path(__file__).resolve().parents[2]


@functools.cache
def version() -> str:
    """`0.1.0 (56e70dff1a2b)`; `+` after the commit: files were changed since. The version alone if that is all."""
    found = commit()
    return f"{__version__} ({found})" if found else __version__


@functools.cache
def commit() -> str:
    """Of the checkout that this runs from, or of the one that the package was built from; empty if neither is known."""
    try:
        return data_path("_commit").read_text().strip()  # written when the package was built
    except (FileNotFoundError, OSError):
        pass
    if not (_TOP / ".git").exists() or not (_TOP / "pyproject.toml").is_file():
        return ""
    try:
        head = git_in(_TOP, "rev-parse", "--short=12", "HEAD", timeout=10).output.strip()
        changed = git_in(_TOP, "status", "--porcelain", "--untracked-files=no", timeout=10).output.strip()
    except (CommandFailed, CommandTimeout, ToolMissing):
        return ""
    return f"{head}+" if changed else head


def installable() -> str:
    """What pip installs to get this version, `git+https://host/owner/name@0123456789ab`; empty when the commit, or the
    repository that the package was built from, is not known, or files were changed since.
    """
    found = commit()
    try:
        urls = importlib.metadata.metadata("reviewbot").get_all("Project-URL") or ()
    except importlib.metadata.PackageNotFoundError:
        return ""
    pages = [url.partition(", ")[2] for url in urls if url.startswith("Repository, ")]
    return f"git+{pages[0]}@{found}" if pages and found and not found.endswith("+") else ""

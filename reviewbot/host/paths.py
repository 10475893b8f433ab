# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders of the user: XDG, moved by REVIEWBOT_CACHE and REVIEWBOT_DATA."""

import os
import sys
import tempfile
from pathlib import Path


def _folder(override: str, xdg: str, default: str) -> Path:
    if os.environ.get(override):
        return Path(os.environ[override]).absolute()
    base = os.environ.get(xdg) or str(Path.home() / default)
    return Path(base).absolute() / "reviewbot"


def cache_dir() -> Path:
    """What can be made again: repositories, artifacts."""
    return _folder("REVIEWBOT_CACHE", "XDG_CACHE_HOME", ".cache")


def data_dir() -> Path:
    """What cannot be made again: runs."""
    return _folder("REVIEWBOT_DATA", "XDG_DATA_HOME", ".local/share")


def config_dir() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base).absolute() / "reviewbot"


def our_folders() -> tuple[str, ...]:
    """Absolute paths that reports do not tell others: of this user, of this program, of what it was told to use."""
    named = (cache_dir(), data_dir(), config_dir(), site_file().parent, Path(tempfile.gettempdir()), Path(sys.prefix))
    # A shell's name of the current folder may lead through a link.
    here = {str(Path.home()), _here(), os.environ.get("PWD", ""), str(Path(__file__).parents[2]), *map(str, named)}
    return tuple(sorted(one for one in here if one))


def _here() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def named_site_file() -> Path | None:
    """What $REVIEWBOT_SITE names, if anything."""
    named = os.environ.get("REVIEWBOT_SITE")
    return Path(named).expanduser().absolute() if named else None


def site_file() -> Path:
    """The site file: $REVIEWBOT_SITE or site.yaml in the config folder; need not exist."""
    return named_site_file() or config_dir() / "site.yaml"

# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known only when a package is built: the commit, and where its repository is."""

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

COMMIT = "_commit"
"""File with the commit, at the top of an sdist and in the data folder of a wheel."""


def _git(root: str, *words: str) -> str:
    """What git says; empty when this is no checkout, or there is no git."""
    if not (Path(root) / ".git").exists():
        return ""
    try:
        done = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def commit_of(root: str) -> str:
    """Twelve digits, with `+` when files were changed since; empty if nothing is known."""
    if head := _git(root, "rev-parse", "--short=12", "HEAD"):
        return f"{head}+" if _git(root, "status", "--porcelain", "--untracked-files=no") else head
    noted = Path(root) / COMMIT
    return noted.read_text().strip() if noted.is_file() else ""


def web_page(remote: str) -> str:
    """`https://host/owner/name` of a remote that can be read by everybody; empty for paths and the like."""
    if found := re.fullmatch(r"https://([\w.-]+/[\w./~-]+?)(?:\.git)?/?", remote):
        return f"https://{found[1]}"
    found = re.fullmatch(r"(?:ssh://)?git@([\w.-]+)[:/]([\w./~-]+?)(?:\.git)?/?", remote)
    return f"https://{found[1]}/{found[2]}" if found else ""


class CommitHook(BuildHookInterface):
    """Puts the commit into what is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or not (commit := commit_of(self.root)):
            return
        handle, self.noted = tempfile.mkstemp(prefix="reviewbot-commit-")
        with os.fdopen(handle, "w") as file:
            file.write(f"{commit}\n")
        place = COMMIT if self.target_name == "sdist" else f"reviewbot/_data/{COMMIT}"
        build_data["force_include"][self.noted] = place

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if noted := getattr(self, "noted", ""):
            Path(noted).unlink(missing_ok=True)


class UrlsHook(MetadataHookInterface):
    """Names the repository that the package was built from, so that a fork does not send its users elsewhere."""

    def update(self, metadata: dict[str, Any]) -> None:
        page = web_page(os.environ.get("REVIEWBOT_REPOSITORY", "") or _git(self.root, "remote", "get-url", "origin"))
        names = {"Repository": "", "Documentation": "/tree/HEAD/docs", "Changelog": "/blob/HEAD/CHANGELOG.md",
                 "Issues": "/issues"}  # fmt: skip
        metadata["urls"] = {name: f"{page}{place}" for name, place in names.items()} if page else {}

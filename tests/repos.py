# SPDX-License-Identifier: GPL-2.0-or-later
"""Small repositories and stacks for tests."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from reviewbot.config import load_stack
from reviewbot.model.stack import Candidate, Source, Stack
from tests.mails import PATHS

ENV = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@x",
       "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@x", "GIT_AUTHOR_DATE": "1700000000 +0000",
       "GIT_COMMITTER_DATE": "1700000000 +0000", "PATH": os.environ["PATH"]}  # fmt: skip


def git(folder: Path, *arguments: str) -> str:
    """Run git as a user would."""
    done = subprocess.run(["git", *arguments], cwd=folder, env=ENV, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def make_repository(folder: Path, files: Mapping[str, str]) -> str:
    """A repository with one commit on `master`; its id."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "master")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "base")
    return git(folder, "rev-parse", "HEAD")


def make_component(folder: Path, component: str) -> str:
    """A repository that `tests.mails.posting` applies to."""
    names = [PATHS[component], *(PATHS[component].replace(".c", f"{n}.c") for n in (2, 3, 4, 5))]
    return make_repository(folder, dict.fromkeys(names, "old\n"))


def stack_of(
    sources: Mapping[str, Source],
    *,
    fallbacks: Mapping[str, Source] | None = None,
    candidates: Mapping[str, tuple[Candidate, ...]] | None = None,
) -> Stack:
    """The shipped stack with only these components, and no base candidates but these."""
    stack = load_stack()
    components = tuple(
        component.model_copy(
            update={
                "source": sources[component.name],
                "fallback": (fallbacks or {}).get(component.name),
                "candidates": (candidates or {}).get(component.name, ()),
            }
        )
        for component in stack.components
        if component.name in sources
    )
    return stack.model_copy(update={"components": components})

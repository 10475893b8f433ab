# SPDX-License-Identifier: GPL-2.0-or-later
"""requirements.lock: everything that an installation needs, pinned, with hashes."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ENTRY = re.compile(r"^([a-z0-9._-]+)==(\S+)(?: ; ([^\\\n]+?))? \\$", re.MULTILINE)
PINNED = {canonicalize_name(match[1]): match[2] for match in ENTRY.finditer(LOCK)}


def wanted() -> list[Requirement]:
    """What the package and its build say that they need."""
    project = PROJECT["project"]
    listed = [
        *project["dependencies"],
        *project["optional-dependencies"]["build"],
        *PROJECT["build-system"]["requires"],
    ]
    return [Requirement(text) for text in listed]


def test_every_line_is_a_pinned_version_or_one_of_its_hashes() -> None:
    for line in LOCK.splitlines():
        assert (
            not line
            or ENTRY.fullmatch(line)
            or re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line)
            or line.lstrip().startswith("#")
        ), line
    blocks = re.split(r"\n(?=\S)", LOCK)
    assert len(PINNED) >= 30 and all("--hash=sha256:" in block for block in blocks if not block.startswith("#"))


@pytest.mark.parametrize("need", wanted(), ids=str)
def test_what_the_package_needs_is_pinned_within_its_bounds(need: Requirement) -> None:
    name = canonicalize_name(need.name)
    assert name in PINNED, "run `make lock`"
    assert need.specifier.contains(PINNED[name], prereleases=True), "run `make lock`"


def test_what_that_needs_in_turn_is_pinned_too() -> None:
    waiting, seen = [canonicalize_name(need.name) for need in wanted()], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        assert name in PINNED, f"{name}: run `make lock`"
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # hatchling and the like are not needed to run
        for text in needs:
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(need.name))


@pytest.mark.network
def test_pip_takes_it_as_a_whole() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--require-hashes",
         "--requirement", str(ROOT / "requirements.lock")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "Could not find a version" in done.stderr or "connection" in done.stderr.lower():
        pytest.skip("no package mirror that has these files answers")
    assert done.returncode == 0, done.stderr

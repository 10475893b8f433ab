# SPDX-License-Identifier: GPL-2.0-or-later
"""The corpus: one folder per posting, a `posting.yaml` and patches per component; and what a run made of one."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Literal

from pydantic import Field

from demo.__main__ import SITE
from reviewbot.config import load_yaml
from reviewbot.model.base import Model
from reviewbot.model.comparison import Comparison
from reviewbot.model.trees import Trees
from reviewbot.model.verdict import VerdictKind
from tests.mails import mail, mbox

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
POSTINGS = HERE / "postings"
LEGS = "fuse2fs"
"""Where the planted defects are; what is compared of the others is the same."""


class Planted(Model):
    """`posting.yaml`."""

    kind: Literal["defect", "harmless"]
    why: str
    guilty: dict[str, int] = {}
    """Component -> number of its guilty patch; two: it takes both."""
    leg: str = ""
    """The leg that shows it."""
    seen_as: Literal["failure", "notrun", "figure", "compat", "slower", "feature", ""] = Field(default="")
    options: tuple[str, ...] = ("--suites", "smoke")
    """What is run to see it."""
    joins: tuple[str, ...] = ()
    """Postings, each of components of its own, that are posted as one."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a run said of a posting."""

    name: str
    planted: Planted
    verdict: str
    components: tuple[str, ...]
    """Blamed ones."""
    patches: tuple[tuple[str, ...], ...]
    """Subjects of the suspected patches, per blamed component."""
    seconds: float

    @property
    def alarm(self) -> bool:
        return self.verdict == VerdictKind.REGRESSION

    @property
    def right_component(self) -> bool:
        return self.planted.guilty.keys() == set(self.components)

    @property
    def right_patch(self) -> bool:
        """Exactly the guilty patches were named."""
        wanted = {(subject_of(path),) for path in self.planted_patches()}
        return self.right_component and set(self.patches) == wanted

    @property
    def right(self) -> bool:
        """A defect was found and its patch named; a harmless posting was not accused."""
        return self.alarm and self.right_patch if self.planted.kind == "defect" else not self.alarm

    def planted_patches(self) -> list[Path]:
        return [patches(self.name, component)[number - 1] for component, number in self.planted.guilty.items()]


def names() -> tuple[str, ...]:
    return tuple(sorted(path.name for path in POSTINGS.iterdir()))


def load(name: str) -> Planted:
    return load_yaml(POSTINGS / name / "posting.yaml", Planted)


def components(name: str) -> tuple[str, ...]:
    return tuple(c for c in ("kernel", "libfuse", "e2fsprogs") if patches(name, c))


def patches(name: str, component: str) -> list[Path]:
    return sorted(path for one in load(name).joins or (name,) for path in (POSTINGS / one / component).glob("*.patch"))


def subject_of(patch: Path) -> str:
    parsed = BytesParser(policy=default).parsebytes(patch.read_bytes().partition(b"\n")[2])
    return _title(str(parsed["Subject"]))


def as_mbox(name: str) -> bytes:
    """A top cover, a cover per component, the patches below it."""
    top = f"{name}.top@example.org"
    found = [mail(top, f"[PATCHSET] {name.replace('-', ' ')}")]
    for component in components(name):
        cover = f"{name}.{component}@example.org"
        found.append(mail(cover, f"[PATCHSET 1/1] {component}: {name.replace('-', ' ')}", parent=top))
        series = patches(name, component)
        for number, path in enumerate(series, 1):
            body = path.read_bytes().partition(b"\n\n")[2].decode()
            subject = f"[PATCH {number}/{len(series)}] {subject_of(path)}"
            found.append(mail(f"{name}.{component}.{number}@example.org", subject, body, parent=cover))
    return mbox(found)


def run(name: str, folder: Path) -> Judged:
    """Test a posting as a user would, with data of its own in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "posting.mbox").write_bytes(as_mbox(name))
    (folder / "site.yaml").write_text(SITE.format(url="http://127.0.0.1:9"))
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "reviewbot", "apply-and-test", "--mbox", folder / "posting.mbox", "--site",
         folder / "site.yaml", "--legs", LEGS, "--no-review", *load(name).options],
        cwd=ROOT, env={**os.environ, "REVIEWBOT_DATA": str(folder / "data"), "CI": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    (folder / "seconds").write_text(f"{time.monotonic() - started:.0f}\n")
    return judged(name, folder)


def judged(name: str, folder: Path) -> Judged:
    """What the run in `folder` said. Raises FileNotFoundError when it has no verdict."""
    latest = folder / "data" / "runs" / "latest"
    verdict = json.loads((latest / "verdict.json").read_bytes())
    comparison = latest / "comparison.json"
    found = Comparison.model_validate_json(comparison.read_bytes()) if comparison.exists() else Comparison()
    trees = Trees.model_validate_json((latest / "trees.json").read_bytes())
    subjects = {patch.commit: patch.subject for tree in trees.trees for patch in tree.patches}
    blames = [test.blame for test in found.tests if test.blame] + [one.blame for one in found.figures if one.blame]
    blames += [one.blame for one in found.messages if one.blame] + [one.blame for one in found.cells if one.blame]
    return Judged(
        name,
        load(name),
        str(verdict["kind"]),
        tuple(sorted({component for blame in blames for component in blame.components})),
        tuple(sorted({tuple(map(_title, (subjects[c] for c in one.commits))) for b in blames for one in b.patches})),
        float((folder / "seconds").read_text()),
    )


def _title(subject: str) -> str:
    return subject.rpartition("] ")[2]

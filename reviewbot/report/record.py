# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything known of one run, in one value; how it is read back from the run's folder; and the published schemas."""

import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from reviewbot.model.artifacts import Artifacts
from reviewbot.model.base import Model
from reviewbot.model.comparison import Comparison
from reviewbot.model.coverage import Coverage
from reviewbot.model.deep import Deep, DeepRuns
from reviewbot.model.errors import UsageError
from reviewbot.model.lock import Lock
from reviewbot.model.plan import Plan
from reviewbot.model.posting import Posting
from reviewbot.model.results import Results
from reviewbot.model.review import Review
from reviewbot.model.run import RunRecord
from reviewbot.model.trees import Trees
from reviewbot.model.verdict import Finding, SaidVerdict, Verdict

PUBLISHED: dict[str, type[Model]] = {
    "comparison": Comparison,
    "coverage": Coverage,
    "deep": DeepRuns,
    "results": Results,
    "review": Review,
    "verdict": SaidVerdict,
}
"""Files of a run whose shape is promised."""


class Record(Model):
    """A run as far as it got."""

    run: str
    tool: str
    posting: Posting
    plan: Plan | None = None
    trees: Trees | None = None
    artifacts: Artifacts | None = None
    review: Review | None = None
    results: Results | None = None
    comparison: Comparison | None = None
    deep: tuple[Deep, ...] = ()
    coverage: Coverage | None = None
    verdict: Verdict | None = None
    url: str = ""
    """Where the run's folder can be seen, or empty."""
    install: str = ""
    """What pip installs to get this version of the tool: `git+https://…@…`; empty: not known."""
    started: datetime.datetime | None = None
    """When the run began, UTC."""

    @property
    def command(self) -> str:
        """What made it: `review` plans no legs."""
        return "review" if self.plan and not self.plan.legs else "apply-and-test"

    @property
    def done(self) -> str:
        """What was done with the sources, as a word: nothing is `tested` that was not."""
        return "tested" if self.results else "reviewed" if self.command == "review" else "applied"

    @property
    def variant(self) -> str:
        """`kasan`; empty: the plain stack was tested."""
        return self.plan.variant.name if self.plan else ""


class Heading(Model):
    """`report.json`: what reports say of a run that none of its other files has."""

    run: str
    tool: str
    url: str = Field(default="", pattern=r"^$|^https?://\S+$")
    """Where the run's folder can be seen, or empty."""
    install: str = Field(default="", pattern=r"^$|^git\+https?://\S+$")
    """As in the record. A reader may paste it: nothing else than what we write is read back."""
    started: datetime.datetime | None = None
    """As in the record."""


def load(folder: Path) -> Record:
    """The record of a judged run, from the files in its folder alone. Raises UsageError."""
    try:
        plan = _read(folder / "plan.json", Plan)
        judged = _read(folder / "verdict.json", SaidVerdict)
        if plan is None or judged is None:
            raise UsageError(f"run {folder.name} has no verdict", hint="it is still running, or was interrupted")
        begun, lock = _read(folder / "run.json", RunRecord), _read(folder / "lock.json", Lock)
        head = _read(folder / "report.json", Heading)
        return Record(
            run=judged.run,
            tool=head.tool if head else begun.tool if begun else "reviewbot",
            posting=plan.posting,
            plan=plan,
            artifacts=lock.artifacts if lock else None,
            url=head.url if head else "",
            install=head.install if head else "",
            started=head.started if head else begun.started if begun else None,
            **known(folder),
            coverage=_read(folder / "coverage.json", Coverage),
            verdict=_unsaid(judged),
        )
    except ValueError as error:
        raise UsageError(
            f"run {folder.name} cannot be read: {str(error).splitlines()[0]}",
            hint="it is damaged, or was made by another version",
        ) from error


M = TypeVar("M", bound=Model)


def _read(path: Path, model: type[M]) -> M | None:
    """None when the file is not there. Raises ValueError with one line that names file and place."""
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path.name}: {f'{where}: ' if where else ''}{first['msg']}") from error


def _unsaid(judged: SaidVerdict) -> Verdict:
    """The facts of a verdict, without its sentences."""
    facts = {name: getattr(judged, name) for name in Verdict.model_fields}
    findings = tuple(Finding(**{name: getattr(one, name) for name in Finding.model_fields}) for one in judged.findings)
    return Verdict(**{**facts, "findings": findings})


def known(run: Path) -> dict[str, object]:
    """What a run had already found out, from the files in its folder: fields of its record."""
    found: dict[str, object] = {}
    for name, model in (("trees", Trees), ("review", Review), ("results", Results), ("comparison", Comparison)):
        if (content := _read(run / f"{name}.json", model)) is not None:
            found[name] = content
    if deep := _read(run / "deep.json", DeepRuns):
        found["deep"] = deep.runs
    return found


def schemas() -> dict[str, dict[str, Any]]:
    """Name -> JSON schema (draft 2020-12) of each published file."""
    found = {}
    for name, model in PUBLISHED.items():
        schema = model.model_json_schema(mode="serialization")
        version = model.model_fields["schema_version"].default
        found[name] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:reviewbot:{name}:{version}",
            **schema,
        }
    return found

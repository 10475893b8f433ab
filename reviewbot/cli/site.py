# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot site`: all runs as a folder of pages for any web server."""

import datetime
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from reviewbot import report
from reviewbot.cli.group import reviewbot
from reviewbot.cli.outputs import written_into
from reviewbot.cli.runs import row_of
from reviewbot.host.files import write_atomic
from reviewbot.host.paths import data_dir, our_folders
from reviewbot.model.errors import UsageError
from reviewbot.model.words import counted, flat
from reviewbot.report.html.site import (
    STRIP,
    SiteRun,
    SiteTests,
    compare_page,
    index_page,
    trends,
    trends_page,
)
from reviewbot.store import RunFolder, Runs

_INDEX = TypeAdapter(tuple[SiteRun, ...])
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_LINK = re.compile(r'<a href="((?:logs|reruns|deep)/[^"]*)">(.*?)</a>')


@reviewbot.command(short_help="Write pages on all runs, for a web server.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--files", default="", metavar="URL", help="URL of the run folders; {run} stands for the id.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")
def site(folder: Path, files: str, as_json: bool) -> None:
    """Write pages on all runs of this user into FOLDER: a list, each run, trends per leg, and a comparison of runs.

    The pages are files that any web server can serve; each has a JSON twin. Existing pages are rewritten only when
    their run has changed, and pages of runs that no longer exist are removed.
    """
    if files and not re.fullmatch(r"https?://[^\s\"'<>]+|/[^\s\"'<>]*", files):
        raise UsageError(f"not a URL: {files}")
    with written_into(folder):
        before = _before(folder)
    rows, made = [], 0
    for run in reversed(Runs(data_dir() / "runs").list()):
        state = f"{_state(run)} {files}"
        if not (run.path / "verdict.json").exists():
            continue
        known = before.get(run.id)
        if known is None or known.source != state or not (folder / "runs" / run.id / "run.json").exists():
            try:
                known = _write_run(run, folder / "runs" / run.id, state, files.replace("{run}", run.id))
            except UsageError as error:
                click.echo(f"reviewbot: {flat(str(error))}: run left out", err=True)
                continue
            made += 1
        rows.append(known)
    legs = _write_trends(folder, rows)
    write_atomic(folder / "compare.html", compare_page())
    write_atomic(folder / "index.html", index_page(rows, legs))
    write_atomic(folder / "index.json", _INDEX.dump_json(tuple(rows), indent=1) + b"\n")
    removed = _remove(folder / "runs", {row.run for row in rows})
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "runs": len(rows), "written": made, "removed": removed}))
    else:
        click.echo(f"{counted(len(rows), 'run')} in {folder / 'index.html'}: {made} written, {removed} removed")


def _before(folder: Path) -> Mapping[str, SiteRun]:
    """Runs that the folder has; a folder of something else is left alone."""
    if not folder.exists() or not any(folder.iterdir()):
        (folder / "runs").mkdir(parents=True)
        return {}
    try:
        found = _INDEX.validate_json((folder / "index.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(f"{folder} is neither empty nor a reviewbot site", hint="name a new folder") from error
    return {one.run: one for one in found}


def _state(run: RunFolder) -> str:
    """Changes when a report of the run does."""
    found = []
    for name in ("verdict.json", "results.json", "report.html"):
        try:
            found.append(str((run.path / name).stat().st_mtime_ns))
        except OSError:
            found.append("-")
    return " ".join(found)


def _write_run(run: RunFolder, place: Path, state: str, files: str) -> SiteRun:
    """The run's page and its twin."""
    row = row_of(run, datetime.datetime.now(datetime.UTC))
    judged, results, planned = (_load(run, f"{name}.json") for name in ("verdict", "results", "plan"))
    legs = [leg for leg in _dicts(results.get("legs")) if leg.get("available") and leg.get("tests")]
    legs = [leg for leg in legs if _NAME.fullmatch(str(leg.get("leg")))]  # it names a file of the site
    names = tuple(str(leg.get("leg")) for leg in legs)
    tests: dict[str, list[str]] = {}
    reasons: dict[str, str] = {}
    counts: dict[str, int] = {}
    for place_of, leg in enumerate(legs):
        for test in _dicts(leg.get("tests")):
            name, outcome = f"{test.get('suite')}/{test.get('test')}", str(test.get("outcome"))
            tests.setdefault(name, [""] * len(legs))[place_of] = outcome
            counts[outcome] = counts.get(outcome, 0) + 1
            if outcome != "PASS" and test.get("reason"):
                reasons.setdefault(name, str(test["reason"])[:300])
    posting = planned.get("posting")
    about = posting if isinstance(posting, dict) else {}
    made = SiteRun(
        run=run.id,
        kind=str(judged.get("kind", "")),
        summary=str(judged.get("summary", ""))[:400],
        subject=row.subject,
        author=str(about.get("author", "")),
        topic=str(about.get("top", "")),
        started=row.started.isoformat() if row.started else "",
        command=row.command,
        variant=str(results.get("variant", "")),
        legs=names,
        counts=counts,
        source=state,
    )
    place.mkdir(parents=True, exist_ok=True)
    page = run.path / "report.html"
    text = page.read_text("utf-8") if page.exists() else _page(run)
    write_atomic(place / "index.html", _LINK.sub(lambda link: _linked(link, files), text))
    twin = SiteTests(run=made, legs=names, tests={name: tuple(one) for name, one in tests.items()}, reasons=reasons)
    write_atomic(place / "run.json", twin.model_dump_json() + "\n")
    return made


def _page(run: RunFolder) -> str:
    """Of a run whose version of reviewbot wrote none."""
    return report.html_page(report.load_for_others(run.path, our_folders()))


def _linked(link: re.Match[str], files: str) -> str:
    """A link to a file of the run; its words alone where nobody can see the file."""
    return f'<a href="{files.rstrip("/")}/{link[1]}">{link[2]}</a>' if files else link[2]


def _write_trends(folder: Path, rows: Iterable[SiteRun]) -> tuple[str, ...]:
    """A page per leg that runs of the plain stack had, of the last of them; returns the legs."""
    last: dict[str, list[str]] = {}
    for row in rows:
        for leg in row.legs if not row.variant else ():
            if len(last.setdefault(leg, [])) < STRIP:
                last[leg].append(row.run)
    wanted = sorted({run for runs in last.values() for run in runs})
    twins = {run: SiteTests.model_validate_json((folder / "runs" / run / "run.json").read_bytes()) for run in wanted}
    (folder / "trends").mkdir(exist_ok=True)
    for leg, runs in last.items():
        found = trends(leg, [twins[run] for run in reversed(runs)])
        write_atomic(folder / "trends" / f"{leg}.html", trends_page(found))
        write_atomic(folder / "trends" / f"{leg}.json", found.model_dump_json(indent=1) + "\n")
    for path in (folder / "trends").iterdir():
        if path.stem not in last:
            path.unlink()
    return tuple(last)


def _remove(folder: Path, kept: set[str]) -> int:
    gone = [path for path in folder.iterdir() if path.name not in kept]
    for path in gone:
        shutil.rmtree(path)
    return len(gone)


def _load(run: RunFolder, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads((run.path / name).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []

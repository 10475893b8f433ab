# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot report`: one of the reports of a run, from its folder alone."""

import sys

import click

from reviewbot import intake, report
from reviewbot.cli import terminal, values
from reviewbot.cli.group import reviewbot
from reviewbot.host.paths import data_dir, our_folders
from reviewbot.model.base import Model
from reviewbot.model.errors import UsageError
from reviewbot.store import RunFolder, Runs

FORMATS = {
    "md": "summary.md", "mail": "reply.eml", "junit": "junit.xml", "json": "verdict.json", "results": "results.json",
    "review": "review.json", "verdict": "verdict.json", "lock": "lock.json", "comparison": "comparison.json",
    "html": "report.html", "b4": "b4-review.txt", "kcidb": "kcidb.json", "checks": "checks.json",
    "coverage": "coverage.json", "lcov": "coverage.info",
}  # fmt: skip
"""Name -> file of a run's folder."""


@reviewbot.command("report", short_help="Print one of the reports of a run.")
@click.argument("run", type=values.Run(), default="latest")
@click.option(
    "--format",
    "name",
    type=click.Choice(sorted(FORMATS)),
    default="md",
    show_default=True,
    metavar="FORMAT",
    help=f"One of {', '.join(sorted(FORMATS))}.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json, the verdict.")
def report_command(run: str, name: str, as_json: bool) -> None:
    """Print one of the reports of RUN (an id, a unique prefix, or `latest`).

    A report that the run did not write, because an older version made it, is generated from its folder.
    """
    folder = Runs(data_dir() / "runs").find(run)
    file = FORMATS["json" if as_json else name]
    content = report_of(folder, file)
    if file == "summary.md" and sys.stdout.isatty():
        terminal.markdown(content.decode())
    else:
        click.echo(content, nl=False)


def report_of(folder: RunFolder, file: str) -> bytes:
    """As it was written, or as it would be today."""
    path = folder.path / file
    if path.exists():
        return path.read_bytes()
    if (folder.path / "verdict.json").exists():
        mails = intake.read_mbox(folder.path / "mails.mbox").by_id()
        made = report.files(report.load_for_others(folder.path, our_folders()), mails).get(file)
        if made is not None:
            text = made.model_dump_json(indent=1) + "\n" if isinstance(made, Model) else made
            return text.encode() if isinstance(text, str) else text
    raise UsageError(f"run {folder.id} has no {file}{_why_not(folder)}", hint=_what_else(folder))


def _why_not(folder: RunFolder) -> str:
    """Why a file of a run is not there, as far as that is known."""
    if folder.running():
        return " yet: it is still running"
    judged = (folder.path / "verdict.json").exists()
    return ": it has none of this kind" if judged else ": it was interrupted"


def _what_else(folder: RunFolder) -> str:
    there = [name for name, file in sorted(FORMATS.items()) if (folder.path / file).exists()]
    return f"it has: {', '.join(there)}" if there else f"its logs are in {folder.path}"

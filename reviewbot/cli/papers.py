# SPDX-License-Identifier: GPL-2.0-or-later
"""What comes along with the program: documents, manual pages, workflows."""

import itertools
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import click
from rich.markdown import Markdown
from rich.text import Text

from reviewbot.cli import terminal, values
from reviewbot.cli.group import reviewbot
from reviewbot.cli.manual import page, pages
from reviewbot.cli.outputs import written_into
from reviewbot.host.data import data_path
from reviewbot.host.files import write_atomic
from reviewbot.host.process import ToolMissing, run
from reviewbot.host.version import version
from reviewbot.model.errors import UsageError


def _documents() -> dict[str, Path]:
    """Name -> file, the index first."""
    found = {path.stem: path for path in sorted(data_path("docs").glob("*.md"))}
    return {"README": found.pop("README"), **found}


def _workflows() -> dict[str, Path]:
    return {path.name: path for path in sorted(data_path("workflows").glob("*.yml"))}


def _title(path: Path) -> str:
    """Of a document its first heading; of a workflow the first sentence of the comment above it."""
    lines = [line for line in path.read_text().splitlines() if "SPDX" not in line]
    if path.suffix == ".md":
        return next((line[2:] for line in lines if line.startswith("# ")), "")
    words = " ".join(line[2:] for line in itertools.takewhile(lambda line: line.startswith("# "), lines))
    return re.split(r"(?<=[.]) ", words)[0]


def _list(files: Mapping[str, Path]) -> None:
    """A line each; at a terminal a long title stays beside its name."""
    console, width = terminal.console(), max(map(len, files))
    for name, path in files.items():
        terminal.beside(console, Text(f"{name:<{width}} "), _title(path), width=width + 1)


def _json(files: Mapping[str, Path]) -> str:
    return json.dumps([{"name": n, "title": _title(p), "path": str(p)} for n, p in files.items()], indent=1)


@reviewbot.command(short_help="List the documents, or show one.")
@click.argument("name", type=values.Word("NAME", lambda _: _documents()), required=False)
@click.option("--path", "as_path", is_flag=True, help="Print the path of the file.")
@click.option("--json", "as_json", is_flag=True, help="List them, machine-readable.")
def docs(name: str | None, as_path: bool, as_json: bool) -> None:
    """Show the document NAME, `site-file` for example; without NAME, list them.

    Formatted at a terminal, Markdown otherwise.
    """
    known = _documents()
    if as_json:
        click.echo(_json(known))
        return
    if name is None:
        if as_path:
            click.echo("".join(f"{path}\n" for path in known.values()), nl=False)
        else:
            _list(known)
        return
    chosen = known.get(name.removeprefix("docs/").removesuffix(".md"))
    if chosen is None:
        raise UsageError(f"no document {name}", hint=f"there are: {', '.join(known)}")
    console = terminal.console()
    if as_path:
        click.echo(str(chosen))
    elif console.is_terminal:
        console.print(Markdown(chosen.read_text()))
    else:
        click.echo(chosen.read_text(), nl=False)


@reviewbot.command(short_help="Show the manual page of a command.")
@click.argument("command", type=values.Word("COMMAND", lambda _: reviewbot.list_commands(_)), required=False)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write all pages into this folder, as ~/.local/share/man/man1.",
)
@click.pass_context
def man(context: click.Context, command: str | None, output: Path | None) -> None:
    """Show the manual page of COMMAND, or that of reviewbot.

    Shown with man(1) at a terminal, as roff source otherwise. The pages are generated from the commands.

    \b
    reviewbot man apply-and-test
    reviewbot man --output ~/.local/share/man/man1    then: man reviewbot-plan
    """
    if output is not None:
        written = pages(reviewbot, version())
        with written_into(output):
            for name, text in written.items():
                write_atomic(output / name, text)
        click.echo(f"{len(written)} pages in {output}")
        return
    chosen: click.Command | None = reviewbot if command is None else reviewbot.get_command(context, command)
    if chosen is None:
        raise UsageError(f"no command {command}", hint=f"there are: {', '.join(reviewbot.list_commands(context))}")
    text = page(chosen, ("reviewbot", command) if command else ("reviewbot",), version())
    click.echo(_laid_out(text) if sys.stdout.isatty() else text, nl=False)


def _laid_out(text: str) -> str:
    """As man(1) shows it; as it is where there is none."""
    try:
        done = run(
            ["man", "-l", "-"],
            stdin=text.encode(),
            env={"MANPAGER": "cat", "MANWIDTH": "80"},
            check=False,
            split=True,
            timeout=30,
        )
    except ToolMissing:
        return text
    return done.output if done.status == 0 and done.output.strip() else text


@reviewbot.group(short_help="List the workflows for GitHub Actions, or copy them.", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="List them, machine-readable.")
@click.pass_context
def workflows(context: click.Context, as_json: bool) -> None:
    """List the workflows for GitHub Actions that come with reviewbot.

    \b
    reviewbot workflows copy .github/workflows
    reviewbot workflows copy .github/workflows review.yml
    """
    if as_json and context.invoked_subcommand is None:
        click.echo(_json(_workflows()))
    elif context.invoked_subcommand is None:
        _list(_workflows())


@workflows.command(short_help="Copy workflows into a folder.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("names", nargs=-1, type=values.Word("NAME", lambda _: _workflows()))
@click.option("--force", is_flag=True, help="Overwrite files that differ.")
def copy(folder: Path, names: tuple[str, ...], force: bool) -> None:
    """Copy the workflows NAMES, or all of them, into FOLDER, as a repository's .github/workflows.

    An existing file that differs is not overwritten, unless --force is given.
    """
    known = _workflows()
    for name in names:
        if name not in known:
            raise UsageError(f"no workflow {name}", hint=f"there are: {', '.join(known)}")
    chosen = {name: known[name].read_bytes() for name in names or known}
    for name, content in chosen.items():
        if (there := folder / name).exists() and there.read_bytes() != content and not force:
            raise UsageError(f"{there} exists and differs", hint="--force overwrites it")
    for name, content in chosen.items():
        with written_into(folder):
            write_atomic(folder / name, content)
        click.echo(str(folder / name))

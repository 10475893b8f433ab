# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line's root. Commands are loaded when they are asked for: `b4 review` calls one per patch and waits."""

import difflib
import importlib

import click

from reviewbot.model.errors import UsageError
from reviewbot.model.verdict import ExitStatus

_MODULES = {
    "apply-and-test": "commands",
    "b4-check": "b4_check",
    "bench": "bench",
    "completion": "completion",
    "docs": "papers",
    "doctor": "commands",
    "gc": "gc",
    "history": "history",
    "man": "papers",
    "merge-shards": "shards",
    "outbox": "posting",
    "plan": "commands",
    "post": "posting",
    "report": "reports",
    "reproduce": "reproduce",
    "review": "review",
    "run-shard": "shards",
    "runs": "runs",
    "schema": "commands",
    "shell": "shell",
    "site": "site",
    "store": "serve",
    "warm": "warm",
    "workflows": "papers",
}
"""Command -> its module in this package."""
_WORDS = "reviewbot.words"


def command_words() -> tuple[str, ...]:
    """The words of the command line, without the program's name; empty outside of `reviewbot`."""
    context = click.get_current_context(silent=True)
    words: tuple[str, ...] = context.meta.get(_WORDS, ()) if context else ()
    return words


class _Commands(click.Group):
    """A command is added when its module is imported."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_WORDS] = tuple(args)
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _MODULES:
            importlib.import_module(f"reviewbot.cli.{_MODULES[cmd_name]}")
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = difflib.get_close_matches(args[0], _MODULES, n=1)
        if near and self.get_command(ctx, args[0]) is None:
            raise UsageError(f"no command {args[0]}", hint=f"did you mean `reviewbot {near[0]}`?")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_MODULES)


def _tell_version(context: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted:
        from reviewbot.host.version import version  # b4 calls one command per patch, which needs none of it

        click.echo(f"reviewbot {version()}")
        context.exit()


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Show the version and the commit it was built from, and exit.",
)
@click.pass_context
def reviewbot(context: click.Context) -> int | None:
    """Test a patch series that spans several repositories: one Message-ID in, one honest verdict out.

    \b
    reviewbot plan MESSAGE-ID             what would be tested, and why
    reviewbot review MESSAGE-ID           build and review each patch
    reviewbot apply-and-test MESSAGE-ID   apply, build, review, boot, test
    reviewbot bench MESSAGE-ID            how fast each leg is
    reviewbot report latest               read the result
    reviewbot reproduce latest TEST       rerun one test
    reviewbot shell latest --leg fuse4fs  a root shell in that leg's machine
    reviewbot post latest --to mail       reply in the thread (with --send)

    A MESSAGE-ID may be bare, in <>, after id:, or the URL of a mail or series on lore, patch.msgid.link, Patchwork
    or any public-inbox. Any mail of a posting identifies the whole posting; several Message-IDs name one posting
    that is spread over several threads. Parts marked RFC are left out unless --rfc is given.

    Exit status: 0 passed; 1 the series is at fault; 2 usage or configuration; 3 blocked (the posting is
    incomplete); 4 infrastructure; 130 interrupted.
    """
    if context.invoked_subcommand is not None:
        return None
    click.echo(context.get_help())
    return ExitStatus.USAGE

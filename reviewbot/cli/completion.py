# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot completion`: the words that make a shell complete ours."""

import click
from click.shell_completion import get_completion_class

from reviewbot.cli.group import reviewbot

VARIABLE = "_REVIEWBOT_COMPLETE"
"""Set by these words when TAB is pressed; click answers then."""


@reviewbot.command(short_help="Print the completion script for bash, zsh or fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands, options, legs, suites, variants, runs and tests.

    \b
    dir=~/.local/share/bash-completion/completions
    reviewbot completion bash > $dir/reviewbot
    reviewbot completion zsh > "${fpath[1]}/_reviewbot"
    reviewbot completion fish > ~/.config/fish/completions/reviewbot.fish

    It takes effect in the next shell.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(reviewbot, {}, "reviewbot", VARIABLE).source())

# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot post`: tell others what came of a run."""

import click

from reviewbot import post
from reviewbot.cli import values
from reviewbot.cli.group import reviewbot
from reviewbot.host.paths import data_dir
from reviewbot.store import Runs


@reviewbot.command("post", short_help="Answer in the thread; a dry run unless --send is given.")
@click.argument("run", type=values.Run(), default="latest")
@click.option("--to", "channel", type=click.Choice(["mail"]), required=True, help="Where to post.")
@click.option("--send", is_flag=True, help="Really send; without it, show what would be sent.")
@click.option("--mail-to", multiple=True, help="Recipient instead of the author; may be repeated.")
@click.option("--cc", multiple=True, help="Copy; may be repeated.")
@click.option("--uncompared", is_flag=True, help="With --send: send failures that were not compared with base, too.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")
def post_command(
    run: str, channel: str, send: bool, mail_to: tuple[str, ...], cc: tuple[str, ...], uncompared: bool, as_json: bool
) -> None:
    """Answer in the thread with the reply of RUN.

    Mail goes out by git's own `sendemail.*` settings, so what works for `git send-email` works here.
    Nothing leaves this machine without --send, and no reply leaves it twice. A failure of the infrastructure
    is never mailed; failures of tests that were not compared with base only with --uncompared.
    """
    delivery = post.mail(Runs(data_dir() / "runs").find(run).path, send=send, to=mail_to, cc=cc, uncompared=uncompared)
    if as_json:
        click.echo(delivery.model_dump_json(indent=1))
    else:
        click.echo(delivery.describe())

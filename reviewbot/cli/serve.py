# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot store`: what workers on other hosts fetch."""

import contextlib
from pathlib import Path

import click

from reviewbot.cli.group import reviewbot
from reviewbot.host.paths import cache_dir
from reviewbot.model.errors import UsageError
from reviewbot.model.words import counted
from reviewbot.store.objects import Objects
from reviewbot.store.serving import DEFAULT, Server, address_of


@reviewbot.group(short_help="Serve artifacts and shards to workers on other hosts.", no_args_is_help=False)
def store() -> None:
    """Serve kernels, disks and shards, which workers fetch by hash."""


@store.command(short_help="Serve it over HTTP, read-only.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default=DEFAULT,
    show_default=True,
    help="Address to listen on; port 0: any free port.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Objects to serve [default: those that this user's runs put into the cache].",
)
@click.option("-q", "--quiet", is_flag=True, help="Do not log requests.")
def serve(listen: str, folder: Path | None, quiet: bool) -> None:
    """Serve kernels, disks and shards to workers, until interrupted.

    Anyone who knows the SHA-256 of an object can fetch it; there is no list, and nothing can be written. Workers
    verify what they fetch, so any web server or object storage with a copy of the folder can be used instead.
    """
    chosen = folder or cache_dir() / "objects"
    if folder and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    told = (lambda line: None) if quiet else (lambda line: click.echo(line, err=True))
    try:
        server = Server(chosen, address_of(listen), told)
    except OSError as error:
        raise UsageError(f"cannot listen on {listen}: {error.strerror or error}") from error
    with server:
        click.echo(f"{server.url}  {counted(sum(1 for _ in Objects(chosen)), 'object')} in {chosen}")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()

# SPDX-License-Identifier: GPL-2.0-or-later
"""The one place that turns errors into a line on stderr and an exit status."""

import contextlib
import os
import shutil
import signal
import sys
import textwrap
from types import FrameType

import click

from reviewbot.cli.group import reviewbot
from reviewbot.cli.guard import ReaderGone, guarded
from reviewbot.host.cancel import ALL
from reviewbot.host.paths import data_dir
from reviewbot.host.process import stop_all
from reviewbot.host.unexpected import as_error
from reviewbot.model.errors import ReviewbotError
from reviewbot.model.verdict import ExitStatus


def main() -> None:
    """Run the command line and exit with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit status. An exception that nobody expected is status 4, with its trace in
    a file: 1 would accuse the series.
    """
    sys.unraisablehook = _unraisable
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with guarded():
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    try:
        status = reviewbot.main(arguments, prog_name="reviewbot", standalone_mode=False)
        return int(status or 0)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _say(error.format_message(), _usage_hint(error), ExitStatus.USAGE)
    except (KeyboardInterrupt, click.Abort):
        stop_all()
        if "_REVIEWBOT_COMPLETE" in os.environ:  # a shell that completes a word: what is said is on its command line
            return ExitStatus.INTERRUPTED
        return _say("interrupted; run the same command again to resume", "", ExitStatus.INTERRUPTED)
    except ReaderGone:  # say nothing more, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:
        return report_error(as_error(error, [data_dir() / "errors"]))
    finally:
        stop_all()


def report_error(error: ReviewbotError) -> int:
    """Its line on stderr; returns its exit status."""
    return _say(str(error), error.hint, error.exit_status)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    ALL.cancel()
    raise KeyboardInterrupt


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    """Python tells on stderr what it had to drop; an interrupt is told, and acted upon, elsewhere."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"try `{context.command_path} --help`" if context else ""


def _say(message: str, hint: str, status: ExitStatus) -> int:
    line = f"reviewbot: {' '.join(message.split())}" + (f" — {' '.join(hint.split())}" if hint else "")
    if sys.stderr.isatty():  # a terminal would break it within words; elsewhere a line stays one for grep
        width = max(40, shutil.get_terminal_size().columns)
        line = textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
    with contextlib.suppress(OSError, ReaderGone):
        click.echo(line, err=True)
    return int(status)

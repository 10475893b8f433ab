# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot b4-check`: a command for b4's `review-series-check-cmd` and `review-perpatch-check-cmd`.

b4 gives one mail on stdin and wants a JSON array on stdout. It calls once per patch and the maintainer waits, so this
module imports little and reads only what earlier runs left.
"""

import json
import os
import re
import sys

import click

from reviewbot.cli.checks import Entry, answer
from reviewbot.cli.group import reviewbot
from reviewbot.host.paths import data_dir
from reviewbot.host.process import CommandTimeout, run
from reviewbot.model.errors import ReviewbotError, UsageError
from reviewbot.store.runs import Runs

_MESSAGE_ID = re.compile(rb"^message-id:\s*<([^<>\s]{1,900})>", re.IGNORECASE | re.MULTILINE)


@reviewbot.command("b4-check")
@click.option("--series", is_flag=True, help="Report on the whole series, even if the mail is one of its patches.")
@click.option("--run", "on_demand", is_flag=True, help="Review the series if that was not done yet; b4 waits for it.")
@click.option("--timeout", default=600.0, show_default=True, metavar="SECONDS", help="Time limit for --run.")
@click.option("--json", "as_json", is_flag=True, help="The output is JSON in any case.")
def b4_check(series: bool, on_demand: bool, timeout: float, as_json: bool) -> int:
    """Give b4 reviewbot's results for the mail on stdin.

    Looks for the newest run whose posting contains the mail, and prints a JSON array of tool, status (pass, warn,
    fail), summary, url and details: for a cover letter the verdict and the review of its part, for a patch its build
    result and remarks. The array is empty while there is no final result, since b4 caches it for half a year.
    Nothing is fetched, built or tested, unless --run is given.

    \b
    git config --add b4.review-series-check-cmd "reviewbot b4-check --series"
    git config --add b4.review-perpatch-check-cmd "reviewbot b4-check"
    """
    if sys.stdin.isatty():
        raise UsageError("b4-check reads a mail from stdin", hint="`b4 mbox --single-message MESSAGE-ID -o- | …`")
    try:
        entries = _entries(sys.stdin.buffer.read(), series, on_demand, timeout)
    except Exception as error:  # b4 takes a status that is not 0 for a failed patch, and keeps it
        entries = _nothing(f"{type(error).__name__}: {error}")
    click.echo(json.dumps(entries, indent=1))
    return 0


def _entries(mail: bytes, series: bool, on_demand: bool, timeout: float) -> list[Entry]:
    message_id = _message_id(mail)
    if not message_id:
        return _nothing("the mail has no Message-ID")
    runs = Runs(data_dir() / "runs")
    if on_demand and next(runs.about(message_id), None) is None and (problem := _review(message_id, timeout)):
        return _nothing(problem)
    return answer(runs, message_id, series=series)


def _nothing(why: str) -> list[Entry]:
    """No entry; who calls by hand is told why."""
    click.echo(f"reviewbot: {' '.join(why.split())}", err=True)
    return []


def _message_id(mail: bytes) -> str:
    """Of the mail's own header; empty if it has none."""
    head = re.split(rb"\r?\n\r?\n", mail.lstrip(), maxsplit=1)[0]
    found = _MESSAGE_ID.search(head)
    return found[1].decode(errors="replace") if found else ""


def _review(message_id: str, timeout: float) -> str:
    """Make a run; what kept it from being made, or nothing."""
    own = {name: value for name, value in os.environ.items() if name.startswith(("REVIEWBOT_", "XDG_"))}
    command = [sys.executable, "-m", "reviewbot", "review", "--rfc", "--json", "--", message_id]
    try:
        done = run(command, env=own, timeout=timeout, check=False, split=True)
    except CommandTimeout:
        return f"the review did not finish within {timeout:.0f} s; run the same command again to resume"
    except ReviewbotError as error:
        return str(error)
    last = (done.errors.strip().splitlines() or [""])[-1]
    return last.removeprefix("reviewbot: ") if done.status not in (0, 1) and last.startswith("reviewbot: ") else ""

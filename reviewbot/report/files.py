# SPDX-License-Identifier: GPL-2.0-or-later
"""All report files of one run."""

from collections.abc import Mapping

from pydantic_core import to_json

from reviewbot.model.base import Model
from reviewbot.model.deep import DeepRuns
from reviewbot.report.b4 import b4_text
from reviewbot.report.checks import checks
from reviewbot.report.html import html_page
from reviewbot.report.kcidb import kcidb
from reviewbot.report.mail import replies
from reviewbot.report.record import Heading, Record
from reviewbot.report.summary import summary_markdown
from reviewbot.report.words import said
from reviewbot.report.xunit import junit_xml


def files(record: Record, mails: Mapping[str, bytes]) -> dict[str, str | bytes | Model]:
    """File name -> content. The verdict goes last: who sees it sees the rest."""
    assert record.verdict is not None
    head = Heading(run=record.run, tool=record.tool, url=record.url, install=record.install, started=record.started)
    found: dict[str, str | bytes | Model] = {"report.json": head}
    if record.results is not None:
        found["results.json"] = record.results
    if record.comparison is not None:
        found["comparison.json"] = record.comparison
    if record.deep:
        found["deep.json"] = DeepRuns(runs=record.deep)
    if record.review is not None:
        found["review.json"] = record.review
    if record.coverage is not None:
        found["coverage.json"] = record.coverage
    found["junit.xml"] = junit_xml(record)
    found["kcidb.json"] = to_json(kcidb(record, mails), indent=1).decode() + "\n"
    found["b4-review.txt"] = b4_text(record, mails)
    found["checks.json"] = checks(record)
    found["summary.md"] = summary_markdown(record)
    found["report.html"] = html_page(record)
    found |= replies(record, mails)
    found["verdict.json"] = said(record)
    return found

# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything known of a run in; JSON, Markdown, HTML, mail, JUnit out. Pure functions: text in, text out."""

from reviewbot.report.b4 import patch_text, series_text
from reviewbot.report.bench import bench_lines, interval, ratio_table, rows_of
from reviewbot.report.files import files
from reviewbot.report.folders import load_for_others, without_folders
from reviewbot.report.github import github_report
from reviewbot.report.html import html_page
from reviewbot.report.mail import reply_mail
from reviewbot.report.record import Record, known, load, schemas
from reviewbot.report.summary import summary_markdown
from reviewbot.report.words import said
from reviewbot.report.xunit import junit_xml

__all__ = [
    "Record",
    "bench_lines",
    "files",
    "github_report",
    "html_page",
    "interval",
    "junit_xml",
    "known",
    "load",
    "load_for_others",
    "patch_text",
    "ratio_table",
    "reply_mail",
    "rows_of",
    "said",
    "schemas",
    "series_text",
    "summary_markdown",
    "without_folders",
]

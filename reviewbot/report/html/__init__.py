# SPDX-License-Identifier: GPL-2.0-or-later
"""A record in; one HTML page out that needs no network, no other file and no script to be read."""

from reviewbot.report.html.page import html_page

__all__ = ["html_page"]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything known of a run in; JSON, Markdown, mail, JUnit out. Pure functions: text in, text out."""

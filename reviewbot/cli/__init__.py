# SPDX-License-Identifier: GPL-2.0-or-later
"""Arguments, progress, exit codes. Nothing else prints, parses argv or exits."""

from reviewbot.cli.entry import main

__all__ = ["main"]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Arguments, progress, exit codes. Nothing else prints, parses argv or exits."""


def main() -> None:
    """Run the command line."""

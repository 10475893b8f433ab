# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m reviewbot` is `reviewbot`."""

from reviewbot.cli import main

main()

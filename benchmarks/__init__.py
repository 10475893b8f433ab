# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast the promises are kept. `make bench` prints a table; nothing here is a test."""

# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo: a small posting of our own across three repositories, served and tested for real."""

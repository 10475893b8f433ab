# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine of each kind is booted once and saved; later ones are restored from that, where it is faster.

`saving` makes and restores a snapshot, `saved` finds one that fits a job, `starts` knows which way is faster here.
"""

# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel messages and server logs in, splats and sanitiser reports with fingerprints out. Pure: no files, no processes.

Must not know: which step or test a log belongs to; the lab and the suites decide what a crash means for them.
"""

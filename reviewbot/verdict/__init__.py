# SPDX-License-Identifier: GPL-2.0-or-later
"""Results in, Verdict out. A pure function of what was measured."""

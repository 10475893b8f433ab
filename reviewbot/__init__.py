# SPDX-License-Identifier: GPL-2.0-or-later
"""reviewbot: one Message-ID in, one honest verdict out."""

__version__ = "0.1.0"

# SPDX-License-Identifier: GPL-2.0-or-later
"""A small stack that really does file I/O by iomap: patches to the demo's bases, tested as any posting is."""

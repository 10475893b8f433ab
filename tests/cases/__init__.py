# SPDX-License-Identifier: GPL-2.0-or-later
"""Kinds of real material that were once misread, each with its right value: postings, and logs of kernels and builds.

Quotes in Fixes: trailers are in tests/review/test_fixes.py, which has the repositories that they need.
"""

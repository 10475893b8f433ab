# SPDX-License-Identifier: GPL-2.0-or-later
"""Postings with planted defects, and harmless ones, on the demo's bases: is each defect found, blamed, and no other?"""

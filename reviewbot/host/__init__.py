# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine we run on: one way to run a process, find package data, take a lock, name a folder.

In: plain values. Out: plain values and typed errors.
Must not know: postings, stacks, or any step.
"""

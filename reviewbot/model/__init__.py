# SPDX-License-Identifier: GPL-2.0-or-later
"""The nouns: Posting, Trees, Artifacts, Results, Verdict. Frozen values, no I/O.

In: nothing. Out: the types every step takes and gives, each one JSON-serialisable.
Must not know: files, processes, clocks, or any package but `pydantic`.
"""

# SPDX-License-Identifier: GPL-2.0-or-later
"""How it is said that a feature is gone."""

import pytest

from reviewbot.report.features import without


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ("64bit", "mke2fs makes filesystems without 64bit"),
        ("kernel.ASYNC_READ", "the kernel no longer offers FUSE_ASYNC_READ in FUSE_INIT"),
        ("server.BIG_WRITES", "the server no longer takes FUSE_BIG_WRITES in FUSE_INIT"),
        ("kernel.bit-43", "the kernel no longer offers bit 43 in FUSE_INIT"),
        ("server.max_write-131072", "the server's max_write in FUSE_INIT is less than 131072"),
    ],
)
def test_it_is_said_who_lacks_what(feature: str, words: str) -> None:
    assert without(feature) == words

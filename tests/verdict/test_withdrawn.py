# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts as saying that a feature is taken away, and what does not."""

import pytest

from reviewbot.verdict import announced, announced_default

SAYS = [
    ("xattr", "fuse2fs: drop support for extended attributes"),
    ("xattr", "fuse: stop advertising xattrs"),
    ("xattr", "fuse2fs: rework\n\nFrom now on user attributes are not supported any more."),
    ("punch", "fuse2fs: refuse to punch holes"),
    ("punch", "fuse2fs: no longer allow hole punching"),
    ("punch", "[PATCH v2 1/3] misc: fuse2fs: do not support punching holes\n\nThe code is broken."),
    ("punch", "fuse2fs: fallocate\n\nPUNCH_HOLE corrupts files with inline data.  Disable it until\nthat is repaired."),
    ("punch", "x: y\n\nPunching is turned down.\n\nThis makes the punch test not run; that is on purpose."),
    ("acl", "fuse2fs: turn POSIX ACLs off"),
    ("default-acl", "fuse2fs: disable ACLs"),
    ("tmpfile", "libfuse: remove O_TMPFILE"),
    ("tmpfile", "libfuse: remove the tmpfile operation and its support code"),
    ("exchange", "fuse: withdraw RENAME_EXCHANGE"),
    ("direct", "fuse2fs: deliberately answer O_DIRECT with EINVAL"),
    ("allocate", "fuse2fs: cleanup\n\nfallocate support goes away: nobody uses it."),
]
SILENT = [
    ("xattr", "fuse: do not ask servers twice about extended attributes\n\nA server that was never asked has none."),
    ("xattr", "fuse: remember servers that do not support xattrs"),
    ("xattr", "fuse2fs: remove dead code from setxattr"),
    ("xattr", "fuse2fs: reject xattrs whose name is too long"),
    ("xattr", "fuse: the no_setxattr flag is no longer needed by the xattr code"),
    ("xattr", "fuse: do not disable xattrs after an error"),
    ("xattr", "fuse2fs: drop support for punching holes"),
    ("xattr", "fuse2fs: drop support for NFS\n\nExtended attributes keep working."),
    ("punch", "fuse2fs: simplify the check of the mode in fallocate"),
    ("punch", "fuse2fs: drop the lock before a hole is punched"),
    ("files", "fuse2fs: drop support for files"),
    ("acl", "fuse2fs: miraculous disable switch"),
    ("locks", "fuse: remove a needless lock"),
]


@pytest.mark.parametrize(("check", "text"), SAYS)
def test_a_posting_that_says_so(check: str, text: str) -> None:
    assert announced("smoke", check, "Operation not supported", ["fuse: something else", text])


@pytest.mark.parametrize(("check", "text"), SILENT)
def test_a_posting_that_does_not(check: str, text: str) -> None:
    assert announced("smoke", check, "Operation not supported", [text]) == ""


@pytest.mark.parametrize(
    ("reason", "text", "said"),
    [
        ("xfs_io fpunch  failed (old kernel/wrong fs?)", "fuse2fs: drop support for punching holes", True),
        ("xfs_io fpunch  failed (old kernel/wrong fs?)", "fuse2fs: drop support for xattrs", False),
        ("attrs not supported by this filesystem type: fuse", "fuse2fs: drop support for xattrs", True),
        ("O_TMPFILE is not supported", "libfuse: no longer offer O_TMPFILE", True),
        ("this test requires a valid $SCRATCH_DEV", "libfuse: no longer offer O_TMPFILE", False),
    ],
)
def test_a_test_of_fstests_is_known_by_its_reason(reason: str, text: str, *, said: bool) -> None:
    assert bool(announced("fstests", "generic/009", reason, [text])) == said


def test_the_sentence_is_quoted_in_one_line_without_prefix_and_trailers() -> None:
    text = "[PATCH 1/2] fuse2fs: rework\n\nFirst.  Disable punching\nof holes for now.  Last.\n"
    assert announced("smoke", "punch", "", [text]) == "Disable punching of holes for now."
    trailer = "fuse2fs: rework\n\nReported-by: disable punch <a@b>\n"
    assert announced("smoke", "punch", "", [trailer]) == ""
    assert announced("smoke", "punch", "", ["misc: fuse2fs: disable punch"]) == "disable punch"


def test_endless_texts_take_no_time() -> None:
    assert announced("smoke", "punch", "", ["drop " * 100_000, "refuse to " * 100_000, ("a " * 5000 + "\n") * 50]) == ""


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        ("metadata_csum", "mke2fs.conf: do not enable metadata_csum by default"),
        ("metadata_csum", "mke2fs: disable metadata checksums by default"),
        ("metadata_csum_seed", "mke2fs: no longer enable checksums"),
        ("metadata_csum", "mke2fs: rework\n\nDrop metadata_csum from the default features."),
        ("orphan_file", "mke2fs.conf: remove orphan_file from the ext4 profile"),
        ("has_journal", "mke2fs: create file systems without a journal\n\nBy default they come without journal."),
        ("64bit", "mke2fs: stop creating 64-bit file systems"),
        ("FEATURE_I31", "mke2fs: turn FEATURE_I31 off"),
        ("server.SPLICE_READ", "fuse_lowlevel: no longer enable FUSE_CAP_SPLICE_READ by default"),
        ("server.max_write-65536", "lib: drop max_write from the defaults"),
        ("kernel.PARALLEL_DIROPS", "fuse: disable parallel dirops"),
    ],
)
def test_a_posting_that_takes_a_default_away_and_says_so(feature: str, text: str) -> None:
    assert announced_default(feature, ["mke2fs: something else", text])


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        ("metadata_csum", "mke2fs.conf: sort the features of ext4\n\nSort the list by name."),
        ("metadata_csum", "mke2fs.conf: do not enable orphan_file by default"),
        ("metadata_csum", "mke2fs: drop metadata_csum_seed from the default features"),
        ("metadata_csum", "mke2fs: warn about checksums without 64bit"),
        ("metadata_csum", "mke2fs: fix metadata_csum where quota is disabled"),
        ("64bit", "mke2fs: do not use 32-bit counters"),
        ("kernel.PARALLEL_DIROPS", "fuse: sort the flags of FUSE_INIT"),
        ("server.max_write-65536", "lib: disable splicing"),
    ],
)
def test_a_posting_that_takes_a_default_away_and_does_not_say_so(feature: str, text: str) -> None:
    assert announced_default(feature, [text]) == ""

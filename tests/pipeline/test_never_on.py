# SPDX-License-Identifier: GPL-2.0-or-later
"""What the mails tell of a feature that the last of many patches switches on."""

import pytest

from reviewbot.model.posting import Part, Patch, Posting
from reviewbot.pipeline.plan import never_on


def part(component: str, counter: str, *subjects: str, rfc: bool = False, path: str = "fs/fuse/fuse_iomap.c") -> Part:
    patches = tuple(
        Patch(message_id=f"{component}.{counter}.{number}@x", subject=subject, author="a", number=number, paths=(path,))
        for number, subject in enumerate(subjects, 1)
    )
    return Part(component=component, counter=counter, rfc=rfc, subject="s", cover=None, patches=patches)


def said(*parts: Part, rfc: bool = False) -> str:
    return never_on(Posting(top="t", subject="s", author="a", source="x", parts=parts), "iomap", rfc=rfc)


BRINGS = part("kernel", "4/9", "fuse: implement buffered iomap")
ENABLES = part("kernel", "7/9", "fuse: cache mappings", "fuse: enable iomap")


def test_a_posting_that_enables_what_it_brings_is_in_no_doubt() -> None:
    assert said(BRINGS, ENABLES) == ""


def test_the_part_that_would_enable_it_is_named_when_it_is_not_applied() -> None:
    late = ENABLES.model_copy(update={"rfc": True})
    assert said(BRINGS, late) == "iomap cannot be enabled before kernel part 7/9, which is not applied"
    assert said(BRINGS, late, rfc=True) == ""


def test_early_parts_alone_cannot_switch_it_on() -> None:
    assert said(BRINGS) == "no patch of kernel here enables iomap: unless base does, it cannot be enabled"


def test_each_component_has_to_enable_it() -> None:
    library = part("libfuse", "1/6", "libfuse: add iomap ioctls", path="lib/fuse_lowlevel.c")
    assert said(BRINGS, ENABLES, library).startswith("no patch of libfuse here enables iomap")


@pytest.mark.parametrize(
    ("subject", "path"), [("fuse: fix a leak", "fs/fuse/dev.c"), ("iomap: simplify", "fs/iomap/buffered-io.c")]
)
def test_patches_that_do_not_bring_the_feature_are_in_no_doubt(subject: str, path: str) -> None:
    assert said(part("kernel", "1/1", subject, path=path)) == ""

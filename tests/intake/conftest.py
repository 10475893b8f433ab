# SPDX-License-Identifier: GPL-2.0-or-later
"""An archive with a history: versions of several series, and series that others stand on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.inbox import installed, serve
from reviewbot.config import load_stack
from reviewbot.intake import Archive, Intake, Mailbag, split
from tests.mails import diff, mail

LIBFUSE = "fuse-devel@lists.linux.dev"
CHANGE = "20261101-base-aaaa"


def series(
    name: str,
    tag: str,
    title: str,
    words: tuple[str, ...] = ("x",),
    *,
    day: int = 2,
    trailers: str = "",
    path: str = "fs/fuse/dev.c",
    parent: str = "",
    to: str = "linux-fsdevel@vger.kernel.org",
    below: str = "",
) -> list[bytes]:
    """A cover `NAME@x` and one patch `NAME.N@x` per word. tag: `v2 0/2`; below: end of the last patch's mail."""
    kind = "PATCH" if " 0/" in f" {tag}" else "PATCHSET"
    mails = [mail(f"{name}@x", f"[{kind} {tag}] {title}", f"Hi.\n\n---\n{trailers}", day=day, parent=parent, to=to)]
    for number, word in enumerate(words, 1):
        body = diff(path, word=word) + (below if number == len(words) else "")
        mails.append(
            mail(
                f"{name}.{number}@x",
                f"[PATCH {number}/{len(words)}] {title} {number}",
                body,
                parent=f"{name}@x",
                day=day,
                to=to,
            )
        )
    return mails


def lone(
    name: str, tag: str, title: str, word: str = "x", *, day: int = 2, end: str = "", path: str = "fs/fuse/dev.c"
) -> bytes:
    """One patch without a cover."""
    return mail(f"{name}@x", f"[{tag}] {title}", diff(path, word=word) + end, day=day)


def history() -> list[bytes]:
    """Everything the archive has, in the order in which it came."""
    mails = [mail("bomb@x", "[PATCHBLIZZARD v1] several", day=2)]
    for name, path, to in (("ker", "fs/fuse/bpf.c", "linux-fsdevel@vger.kernel.org"), ("lib", "lib/bpf.c", LIBFUSE)):
        mails += series(name, "1/1", "upload BPF programs", (name,), day=2, path=path, parent="bomb@x", to=to)
    for number, day in ((1, 3), (2, 7)):
        name = f"all{number}"
        mails.append(mail(f"{name}@x", f"[PATCHBOMB v{number}] all of it", day=day))
        for part, path in (("k", "fs/fuse/all.c"), ("l", "lib/all.c")):
            mails += series(
                f"{name}{part}", "1/1", f"all of {part}", (f"{name}{part}",), day=day, path=path, parent=f"{name}@x"
            )
    mails += series("lib2", "v2 1/1", "upload BPF programs", ("lib2",), day=6, path="lib/bpf.c", to=LIBFUSE)
    mails += series("v7", "v7 0/1", "fuse: iomap for everyone", ("seven",), day=3)
    mails += series("v8", "v8 0/1", "fuse: iomap for everyone", ("eight",), day=4)
    mails += series("v4", "v4 0/1", "fuse: iomap for everyone", ("four",), day=10)
    mails.append(mail("re@x", "Re: [PATCH v9 0/1] fuse: iomap for everyone", parent="v4@x", day=12))
    mails.append(mail("other@x", "[PATCH v9 0/1] fuse: iomap for everyone", author="B <b@y>", day=12))
    mails.append(lone("id1", "PATCH", "fuse: an old name", "one", day=2, end="\n---\nchange-id: 20261102-named-bb\n"))
    mails.append(lone("id2", "PATCH v2", "fuse: a new name", "two", day=5, end="\n---\nchange-id: 20261102-named-bb\n"))
    mails.append(lone("send", "PATCH", "fuse: nobody answered", "nobody", day=2))
    mails.append(lone("again", "PATCH RESEND", "fuse: nobody answered", "nobody", day=6))
    mails += series("alpha", "0/2", "fuse: alpha", ("greek", "letters"), day=3)
    mails += series("beta", "v2 0/2", "fuse: beta", ("greek", "letters"), day=8)
    trailers = f"change-id: {CHANGE}\n"
    mails += series("base1", "0/2", "fuse: the base", ("base", "ics"), day=2, trailers=trailers)
    mails += series("base2", "v2 0/2", "fuse: the base", ("base", "ics2"), day=4, trailers=trailers)
    mails.append(lone("deep", "PATCH", "fuse: stands on the base", "deep", end="\nDepends-on: <base2@x>\n"))
    mails.append(lone("loop1", "PATCH", "fuse: hen", "hen", end="\nDepends-on: <loop2@x>\n"))
    mails.append(lone("loop2", "PATCH", "fuse: egg", "egg", end="\nDepends-on: <loop1@x>\n"))
    mails.append(lone("foreign", "PATCH", "lib: for another repository", "foreign", path="lib/fuse.c"))
    mails.append(mail("half@x", "[PATCH 0/3] fuse: one third arrived"))
    mails.append(mail("half.1@x", "[PATCH 1/3] fuse: a third", diff("fs/fuse/dev.c", word="third"), parent="half@x"))
    return mails


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real public-inbox server with that history."""
    if not installed():
        pytest.skip("public-inbox is not installed")
    with serve(history(), tmp_path_factory.mktemp("past")) as url:
        yield url


@pytest.fixture
def archive(past: str, tmp_path: Path) -> Archive:
    return Archive(past, tmp_path / "lore")


def taken(mails: list[bytes], message_id: str | None = None) -> Intake:
    """As if these mails were a thread."""
    return split(Mailbag("test", tuple(mails)), message_id, load_stack())


def fetched(archive: Archive, message_id: str) -> Intake:
    return split(archive.thread(message_id), message_id, load_stack())

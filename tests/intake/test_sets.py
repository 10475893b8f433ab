# SPDX-License-Identifier: GPL-2.0-or-later
"""Patches for several repositories below one cover, and parts for repositories that the stack does not have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.intake import Mailbag, NoPatches, join, pieces
from reviewbot.model.posting import Posting
from tests.mails import diff, mail

STACK = load_stack()
KERNEL, LIBFUSE, E2FSPROGS, FSTESTS = "fs/fuse/dev.c", "lib/fuse_lowlevel.c", "misc/fuse2fs.c", "tests/generic/999"


def of(mails: list[bytes], *names: str, part_only: bool = False) -> Posting:
    return join(pieces(Mailbag("test", tuple(mails)), names, STACK, part_only=part_only), STACK).posting


def parts(found: Posting) -> list[tuple[str, int, str | None, list[str]]]:
    return [(part.component, part.version, part.cover, [p.message_id for p in part.patches]) for part in found.parts]


def kinds(found: Posting) -> list[tuple[str, bool]]:
    return [(problem.kind, problem.blocking) for problem in found.problems]


def numbered(name: str, tag: str, path: str, *parents: str, count: int = 2) -> list[bytes]:
    """`NAME1@x`, `NAME2@x`, …; parents: of each, the last one for all that follow."""
    return [
        mail(
            f"{name}{n}@x",
            f"[{tag} {n}/{count}] {name}: {n}",
            diff(path, word=f"{name}{n}"),
            parent=parents[min(n, len(parents)) - 1],
        )
        for n in range(1, count + 1)
    ]


COVER = mail("c@x", "[PATCH v3 0/2] fuse: a thing")
SERIES = [COVER, *numbered("k", "PATCH v3", KERNEL, "c@x")]
OURS = ("kernel", 3, "c@x", ["k1@x", "k2@x"])


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("PATCH libfuse", 1),
        ("PATCH", 1),
        ("PATCH v3", 3),
        ("PATCH v4", 4),
        ("PATCH v1 libfuse", 1),
        ("PATCH libfuse v2", 2),
        ("libfuse PATCH -v2", 2),
    ],
)
@pytest.mark.parametrize("below", [("c@x",), ("k1@x", "k2@x"), ("k1@x", "l1@x"), ("k2@x", "l1@x")])
def test_a_counterpart_below_the_same_cover_is_a_part_of_its_own(
    tag: str, version: int, below: tuple[str, ...]
) -> None:
    counterpart = numbered("l", tag, LIBFUSE, *below)
    for mails in ([*SERIES, *counterpart], [*counterpart, *SERIES]):
        found = of(mails, "c@x")
        assert parts(found) == [OURS, ("libfuse", version, None, ["l1@x", "l2@x"])]
        assert kinds(found) == []


@pytest.mark.parametrize("subject", ["[PATCH libfuse v1 0/3] libfuse", "[PATCH 0/3] libfuse", "[PATCH v3 0/3] libfuse"])
def test_a_counterpart_with_a_cover_of_its_own(subject: str) -> None:
    tag = subject[1:].split(" 0/")[0]
    mails = [*SERIES, mail("l@x", subject, parent="c@x"), *numbered("l", tag, LIBFUSE, "l@x", count=3)]
    found = of(mails, "k2@x")
    assert [part[2:] for part in parts(found)] == [OURS[2:], ("l@x", ["l1@x", "l2@x", "l3@x"])]
    assert kinds(found) == []


@pytest.mark.parametrize(
    ("subject", "paths"),
    [
        ("[PATCH fstests] generic: test it", [FSTESTS, f"{FSTESTS}.out"]),
        ("[PATCH] generic: test it", ["common/rc", FSTESTS]),
        ("[PATCH xfstests v2] generic: test it", ["src/locktest.c"]),
        ("[PATCH fstests 1/1] generic: test it", [FSTESTS]),
    ],
)
@pytest.mark.parametrize("below", ["c@x", "k2@x"])
def test_a_single_test_that_answers_the_series_is_a_part(subject: str, paths: list[str], below: str) -> None:
    found = of([*SERIES, mail("t@x", subject, diff(*paths), parent=below)], "c@x")
    assert [(part[0], part[3]) for part in parts(found)] == [("kernel", ["k1@x", "k2@x"]), ("fstests", ["t@x"])]
    assert kinds(found) == []


def test_four_repositories_below_one_cover() -> None:
    mails = [
        *SERIES,
        *numbered("l", "PATCH libfuse", LIBFUSE, "c@x", count=3),
        mail("e@x", "[PATCH e2fsprogs] fuse2fs: use it", diff(E2FSPROGS), parent="c@x"),
        mail("t@x", "[PATCH fstests] generic: test it", diff(FSTESTS), parent="k2@x"),
    ]
    found = of(mails)
    assert [(part[0], len(part[3])) for part in parts(found)] == [
        ("kernel", 2),
        ("libfuse", 3),
        ("e2fsprogs", 1),
        ("fstests", 1),
    ]
    assert kinds(found) == []


def test_a_counterpart_that_lacks_a_patch_blocks() -> None:
    found = of([*SERIES, *numbered("l", "PATCH libfuse", LIBFUSE, "c@x", count=3)[:2]])
    assert kinds(found) == [("missing-patches", True)]
    assert "1 of 3 patches is missing: 3" in found.problems[0].message


def test_an_afterthought_for_the_same_repository_is_left_out_and_named() -> None:
    found = of([*SERIES, mail("a@x", "[PATCH] fuse: this, too", diff(KERNEL, word="too"), parent="c@x")])
    assert parts(found) == [OURS] and kinds(found) == [("stray-patch", False)]
    assert "fuse: this, too” has no number: left out" in found.problems[0].message


def test_only_the_counterpart_of_a_named_patch() -> None:
    mails = [*SERIES, *numbered("l", "PATCH libfuse", LIBFUSE, "c@x")]
    assert [part[0] for part in parts(of(mails, "l2@x", part_only=True))] == ["libfuse"]
    assert [part[0] for part in parts(of(mails, "k2@x", part_only=True))] == ["kernel"]


THROUGH = [mail("c@x", "[PATCH 0/4] everywhere")] + [
    mail(f"{n}@x", f"[PATCH {n}/4] step {n}", diff(path), parent="c@x")
    for n, path in enumerate((LIBFUSE, KERNEL, E2FSPROGS, FSTESTS), 1)
]


def without_threading(mails: list[bytes]) -> list[bytes]:
    return [m.replace(b"In-Reply-To: <c@x>\nReferences: <c@x>\n", b"") for m in mails]


@pytest.mark.parametrize(
    "mails", [THROUGH, THROUGH[1:], without_threading(THROUGH)], ids=["cover", "none", "unthreaded"]
)
def test_one_series_numbered_through_several_repositories(mails: list[bytes]) -> None:
    found = of(mails)
    assert [(part[0], part[3]) for part in parts(found)] == [
        ("kernel", ["2@x"]),
        ("libfuse", ["1@x"]),
        ("e2fsprogs", ["3@x"]),
        ("fstests", ["4@x"]),
    ]
    assert kinds(found) == ([("cover-lost", False)] if mails == THROUGH[1:] else [])


def test_what_is_missing_of_a_series_numbered_through_blocks() -> None:
    found = of([m for m in THROUGH if b"Message-ID: <3@x>" not in m])
    assert kinds(found) == [("missing-patches", True)]


def test_patches_for_a_repository_outside_the_stack_in_one_numbering_are_left_out_by_name() -> None:
    known = diff("src/main.c").replace("--- a/", "index 1234567..89abcde 100644\n--- a/")
    mails = [
        mail("1@x", "[PATCH 1/3] fuse: do it", diff(KERNEL)),
        mail("2@x", "[PATCH 2/3] exfat-fuse: use it", known, parent="1@x"),
        mail("3@x", "[PATCH 3/3] exfat-fuse: say so", diff("doc/exfat.8"), parent="1@x"),
    ]
    found = of(mails)
    assert [(part[0], part[3]) for part in parts(found)] == [("kernel", ["1@x"])]
    assert kinds(found) == [("elsewhere", False)]
    assert (
        "does not have, exfat-fuse" in found.problems[0].message and "2 patches left out" in found.problems[0].message
    )


def letter(*sets: tuple[str, str, str]) -> list[bytes]:
    """A letter above sub-series: counter, path, title."""
    mails = [mail("t@x", "[PATCHBOMB v5] all of it")]
    for number, (counter, path, title) in enumerate(sets, 1):
        mails.append(mail(f"s{number}@x", f"[PATCHSET v5 {counter}] {title}", parent="t@x"))
        mails += [
            mail(
                f"s{number}.{n}@x", f"[PATCH {n}/2] {title} {n}", diff(path, word=f"{number}{n}"), parent=f"s{number}@x"
            )
            for n in (1, 2)
        ]
    return mails


ALL = (("1/4", LIBFUSE, "a"), ("2/4", KERNEL, "b"), ("3/4", E2FSPROGS, "c"), ("4/4", FSTESTS, "d"))


def test_sub_series_may_be_numbered_through_the_whole_posting() -> None:
    found = of(letter(*ALL))
    assert [(part.component, part.counter) for part in found.parts] == [
        ("kernel", "2/4"),
        ("libfuse", "1/4"),
        ("e2fsprogs", "3/4"),
        ("fstests", "4/4"),
    ]
    assert kinds(found) == []


def test_a_sub_series_that_is_missing_of_those_numbered_through_is_named_once() -> None:
    found = of(letter(ALL[0], ALL[1], ALL[3]))
    assert [(p.kind, p.message) for p in found.problems] == [("missing-part", "1 of 4 parts is missing: 3")]


def test_sub_series_numbered_for_each_component_are_counted_for_each() -> None:
    sets = [("1/2", KERNEL, "a"), ("2/2", KERNEL, "b"), ("1/2", LIBFUSE, "c"), ("2/2", LIBFUSE, "d")]
    assert kinds(of(letter(*sets))) == []
    found = of(letter(*sets[:3]))
    assert [p.message for p in found.problems] == ["libfuse: 1 of 2 parts is missing: 2"]


@pytest.mark.parametrize("path", ["src/fat.c", "doc/fat.8", "test/run.sh", "meson.build", "fat/main.c", "README.md"])
def test_a_sub_series_for_a_repository_outside_the_stack_is_left_out_by_name(path: str) -> None:
    found = of(letter(("1/3", KERNEL, "fuse: a"), ("2/3", path, "fusefatfs: b"), ("3/3", FSTESTS, "generic: c")))
    assert [part.component for part in found.parts] == ["kernel", "fstests"]
    assert kinds(found) == [("elsewhere", False)]
    (problem,) = found.problems
    assert "a repository that this stack does not have, fusefatfs:" in problem.message and path in problem.message
    assert problem.message_ids == ("s2@x", "s2.1@x", "s2.2@x")


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("[PATCH xfsprogs] xfs_io: show it", "xfsprogs"),
        ("[PATCH btrfs-progs v2] receive: do it", "btrfs-progs"),
        ("[PATCH myfs] server: do it", "myfs"),
        ("[PATCH] myfs: do it", "myfs"),
    ],
)
def test_its_name_comes_from_the_brackets_or_the_prefix(subject: str, name: str) -> None:
    found = of([*SERIES, mail("o@x", subject, diff("io/show.c"), parent="c@x")])
    assert parts(found) == [OURS] and kinds(found) == [("elsewhere", False)]
    assert f"does not have, {name}:" in found.problems[0].message


def test_nothing_but_a_repository_outside_the_stack_blocks() -> None:
    found = of([mail("o@x", "[PATCH] myfs: do it", diff("src/show.c"))])
    assert kinds(found) == [("no-component", True)]
    assert "does not have, myfs: it touches src/show.c" in found.problems[0].message


def test_what_is_wrong_with_a_part_for_elsewhere_hinders_nobody() -> None:
    mails = letter(("1/2", KERNEL, "fuse: a"), ("2/2", "src/fat.c", "fusefatfs: b"))
    assert kinds(of([m for m in mails if b"<s2.1@x>" not in m])) == [("elsewhere", False)]


def test_what_is_not_complete_is_not_called_elsewheres_before_it_is() -> None:
    """Of a sub-series for libfuse only the patch of its README is here: the others would tell."""
    mails = letter(("1/2", KERNEL, "fuse: a"), ("2/2", LIBFUSE, "lowlevel: b"))
    half = [m.replace(LIBFUSE.encode(), b"README.md") for m in mails if b"<s2.2@x>" not in m]
    found = of(half)
    assert ("missing-patches", True) in kinds(found)
    assert kinds(of([m for m in half if b"@x" in m and b"s1" not in m]))[0] == ("missing-patches", True)


@pytest.mark.parametrize(
    ("path", "to", "component"),
    [
        ("src/locktest.c", "fstests@vger.kernel.org", "fstests"),
        ("doc/README.NFS", "fuse-devel@lists.linux.dev", "libfuse"),
        ("doc/e2fsck.8", "linux-ext4@vger.kernel.org", "e2fsprogs"),
        ("lib/iov_iter.c", "linux-fsdevel@vger.kernel.org", "kernel"),
        ("lib/node_table.c", "fuse-devel@lists.linux.dev", "libfuse"),
        ("test/test_ctests.py", "fuse-devel@lists.linux.dev", "libfuse"),
        ("common/quirks", "fstests@vger.kernel.org", "fstests"),
    ],
)
def test_paths_that_many_projects_have_need_another_witness(path: str, to: str, component: str) -> None:
    assert [part.component for part in of([mail("p@x", "[PATCH] do it", diff(path), to=to)]).parts] == [component]
    assert kinds(of([mail("p@x", "[PATCH] myfs: do it", diff(path), to="nobody@example.org")])) == [
        ("no-component", True)
    ]


def test_the_tree_itself_is_a_witness() -> None:
    lone = [mail("p@x", "[PATCH] locktest: do it", diff("src/locktest.c"), to="nobody@example.org")]

    def taken(there: dict[str, bool] | None) -> str:
        found = pieces(Mailbag("test", tuple(lone)), (), STACK, exists=lambda name, paths: there)
        return join(found, STACK).posting.parts[0].component

    assert taken({"src/locktest.c": True}) == "fstests"
    assert taken(None) == taken({"src/locktest.c": False}) == "unknown"


MIXED = [
    *SERIES,
    *numbered("l", "PATCH libfuse", LIBFUSE, "c@x"),
    mail("t@x", "[PATCH] t", diff(FSTESTS), parent="k1@x"),
]


@given(st.permutations(MIXED))
def test_the_order_of_arrival_does_not_matter(mails: list[bytes]) -> None:
    found = of(mails, "c@x")
    assert [part[3] for part in parts(found)] == [["k1@x", "k2@x"], ["l1@x", "l2@x"], ["t@x"]]
    assert kinds(found) == []


@given(st.lists(st.sampled_from([*MIXED, *THROUGH[1:]]), min_size=1, max_size=9, unique=True))
def test_no_part_holds_patches_of_two_repositories(mails: list[bytes]) -> None:
    try:
        found = of(mails, "c@x") if COVER in mails else of(mails)
    except NoPatches:
        return
    for part in found.parts:
        assert len({path.split("/")[0] for patch in part.patches for path in patch.paths}) == 1

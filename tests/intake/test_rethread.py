# SPDX-License-Identifier: GPL-2.0-or-later
"""Series whose sender threaded, tagged or numbered them carelessly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.intake.test_sets import KERNEL, LIBFUSE, kinds, of, parts
from tests.mails import diff, mail

BASE = "d9946fe286439c2aeaa7953b8c316efe5b83d515"


def series(
    name: str,
    *parents: str,
    tag: str = "PATCH",
    count: int = 2,
    day: int = 2,
    cover: str | None = None,
    path: str = KERNEL,
    base: str = "",
) -> list[bytes]:
    """`NAME1@x`, `NAME2@x`, … parents: of each, the last for all that follow. cover: parent of `NAME0@x` above them."""
    found = []
    if cover is not None:
        text = f"Hi.\n\nA Developer ({count}):\n  fuse: do it 1\n" + (f"\nbase-commit: {base}\n" if base else "")
        found.append(mail(f"{name}0@x", f"[{tag} 0/{count}] fuse: do it", text, parent=cover, day=day))
    parents = parents or ((f"{name}0@x",) if cover is not None else ("",))
    for n in range(1, count + 1):
        found.append(
            mail(
                f"{name}{n}@x",
                f"[{tag} {n}/{count}] fuse: do it {n}",
                diff(path, word=f"{name}{n}"),
                parent=parents[min(n, len(parents)) - 1],
                day=day,
            )
        )
    return found


@pytest.mark.parametrize("named", [(), ("c0@x",), ("c1@x",), ("c2@x",)])
@pytest.mark.parametrize("parents", [("",), ("", "c1@x")])
def test_a_cover_that_was_sent_beside_its_patches(named: tuple[str, ...], parents: tuple[str, ...]) -> None:
    mails = series("c", *parents, tag="PATCH v2", cover="", base=BASE)
    for some in (mails, mails[::-1]):
        found = of(some, *named)
        assert (found.top, parts(found), kinds(found)) == ("c0@x", [("kernel", 2, "c0@x", ["c1@x", "c2@x"])], [])
        assert found.parts[0].base_commit == BASE


def test_all_mails_of_a_new_version_as_answers_to_the_old_cover() -> None:
    mails = [*series("o", cover=""), *series("n", "o0@x", tag="PATCH v2", cover="o0@x", day=4)]
    assert parts(of(mails, "n2@x")) == [("kernel", 2, "n0@x", ["n1@x", "n2@x"])]
    assert parts(of(mails, "o2@x")) == [("kernel", 1, "o0@x", ["o1@x", "o2@x"])]


def test_each_of_two_series_gets_its_own_cover() -> None:
    mails = [*series("a", "", cover="", day=2), *series("b", "", cover="", day=5)]
    assert parts(of(mails, "a2@x")) == [("kernel", 1, "a0@x", ["a1@x", "a2@x"])]
    assert parts(of(mails, "b0@x")) == [("kernel", 1, "b0@x", ["b1@x", "b2@x"])]


def test_a_cover_of_something_else_is_not_taken() -> None:
    other = mail("z0@x", "[PATCH 0/2] xfs: nothing of this", "A Developer (2):\n  xfs: one\n  xfs: two\n")
    assert parts(of([other, *series("c", "")], "c1@x")) == [("kernel", 1, None, ["c1@x", "c2@x"])]


def test_an_unthreaded_cover_whose_series_is_not_complete_blocks() -> None:
    found = of(series("c", "", cover="")[:2], "c0@x")
    assert kinds(found) == [("missing-patches", True)]


@pytest.mark.parametrize("tag", ["PATCH", "PATCH v3", "PATCH RFC"])
@pytest.mark.parametrize("parents", [("h@x",), ("h@x", "c1@x")])
def test_a_letter_without_a_tag_is_the_cover_of_the_patches_below_it(tag: str, parents: tuple[str, ...]) -> None:
    text = f"Hi.\n\nbase-commit: {BASE}\nprerequisite-change-id: 20260101-other-abcdef123456:v3\n"
    mails = [mail("h@x", "fuse: do it better", text), *series("c", *parents, tag=tag)]
    for named in ((), ("h@x",), ("c2@x",)):
        found = of(mails, *named)
        assert (found.top, kinds(found)) == ("h@x", [])
        (part,) = found.parts
        assert (part.cover, part.base_commit, part.version) == ("h@x", BASE, 3 if "v3" in tag else 1)
        assert [p.declared.value for p in part.prerequisites] == ["20260101-other-abcdef123456:v3"]
        assert part.rfc is ("RFC" in tag)


def test_a_letter_without_a_tag_above_a_lone_patch() -> None:
    mails = [mail("h@x", "do it", f"base-commit: {BASE}\n"), mail("p@x", "[PATCH] do it", diff(KERNEL), parent="h@x")]
    (part,) = of(mails).parts
    assert (part.cover, part.base_commit) == ("h@x", BASE)


def test_a_letter_without_a_tag_above_several_covers() -> None:
    mails = [mail("h@x", "all of it"), *series("k", cover="h@x"), *series("l", cover="h@x", path=LIBFUSE)]
    found = of(mails, "h@x")
    assert [part.cover for part in found.parts] == ["k0@x", "l0@x"] and kinds(found) == []


@pytest.mark.parametrize(
    ("subject", "author"), [("it is broken", "B <b@y>"), ("Re: it is broken", "A Developer <dev@example.org>")]
)
def test_somebody_elses_report_and_an_answer_are_no_letters(subject: str, author: str) -> None:
    mails = [mail("h@x", subject, f"base-commit: {BASE}\n", author=author), *series("c", "h@x")]
    (part,) = of(mails, "c1@x").parts
    assert (part.cover, part.base_commit) == (None, None)


AGAIN = {
    "chained": series("w", "v1@x", "w1@x", day=4),
    "each below its old self": series("w", "v1@x", "v2@x", day=4),
    "all below the first": series("w", "v1@x", day=4),
    "chained below the last": series("w", "v2@x", "w1@x", day=4),
    "with a cover": series("w", cover="v1@x", day=4),
    "marked as such": series("w", "v1@x", "w1@x", tag="PATCH RESEND", day=4),
    "one patch longer": series("w", "v1@x", "w1@x", count=3, day=4),
}


@pytest.mark.parametrize("how", sorted(AGAIN))
@pytest.mark.parametrize("cover", [None, ""])
def test_a_series_that_was_sent_again_without_a_version(how: str, cover: str | None) -> None:
    old = series("v", *(("", "v1@x") if cover is None else ()), cover=cover)
    new = AGAIN[how]
    for mails in ([*old, *new], [*new, *old]):
        found = of(mails, "w2@x")
        count = 3 if "longer" in how else 2
        assert [p.message_id for p in found.parts[0].patches] == [f"w{n}@x" for n in range(1, count + 1)]
        assert kinds(found) == []
        found = of(mails, "v2@x")
        assert [p.message_id for p in found.parts[0].patches] == ["v1@x", "v2@x"]
        assert kinds(found) == [("other-posting", False)]
        assert "a newer one that replies to it" in found.problems[0].message


def test_a_repetition_under_the_same_version_below_its_cover() -> None:
    mails = [*series("v", tag="PATCH v2", cover=""), *series("w", tag="PATCH v2 RESEND", cover="v0@x", day=4)]
    assert parts(of(mails, "w1@x")) == [("kernel", 2, "w0@x", ["w1@x", "w2@x"])]
    assert parts(of(mails, "v1@x")) == [("kernel", 2, "v0@x", ["v1@x", "v2@x"])]


def test_a_lone_patch_sent_again_below_itself() -> None:
    mails = [
        mail("a@x", "[PATCH] do it", diff(KERNEL)),
        mail("b@x", "[PATCH] do it", diff(KERNEL, word="b"), parent="a@x"),
    ]
    assert parts(of(mails, "a@x")) == [("kernel", 1, None, ["a@x"])]
    assert parts(of(mails, "b@x")) == [("kernel", 1, None, ["b@x"])]


def test_a_series_sent_twice_without_any_threading() -> None:
    mails = [*series("w", day=4), *series("v", day=2)]
    assert parts(of(mails, "v2@x")) == [("kernel", 1, None, ["v1@x", "v2@x"])]
    assert parts(of(mails, "w1@x")) == [("kernel", 1, None, ["w1@x", "w2@x"])]


def test_half_of_a_repetition_blocks() -> None:
    found = of([*series("v", "", "v1@x"), *series("w", "v1@x", day=4)[:1]], "v1@x")
    assert kinds(found) == [("duplicate-number", True)]


def test_patches_without_the_word_in_their_brackets() -> None:
    mails = [mail(f"{n}@x", f"[net,v2,{n}/2] fuse: do it {n}", diff(KERNEL)) for n in (1, 2)]
    assert parts(of(mails)) == [("kernel", 2, None, ["1@x", "2@x"])]


@pytest.mark.parametrize("parent", ["", "q@y"])
def test_a_diff_without_a_tag_is_a_patch_where_it_answers_no_series(parent: str) -> None:
    question = mail("q@y", "how do I do it?", author="B <b@y>")
    assert parts(of([question, mail("p@x", "fuse: do it", diff(KERNEL), parent=parent)], "p@x"))[0][3] == ["p@x"]
    found = of([*series("c", cover=""), mail("p@x", "fuse: or so", diff(KERNEL), parent="c1@x")])
    assert [p.message_id for p in found.parts[0].patches] == ["c1@x", "c2@x"]


TWICE = [*series("v", cover="", day=2), *series("w", cover="v0@x", day=4)]


@given(st.permutations(TWICE), st.sampled_from(["v0@x", "v1@x", "v2@x", "w0@x", "w1@x", "w2@x"]))
def test_the_order_of_arrival_does_not_matter(mails: list[bytes], name: str) -> None:
    assert parts(of(mails, name)) == [("kernel", 1, f"{name[0]}0@x", [f"{name[0]}1@x", f"{name[0]}2@x"])]


@given(st.data())
def test_two_sendings_are_never_mixed_whatever_is_lost(data: st.DataObject) -> None:
    how = data.draw(st.sampled_from(sorted(AGAIN)))
    every = [*series("v", "", "v1@x"), *AGAIN[how]]
    mails = data.draw(st.permutations(every))[: data.draw(st.integers(len(every) - 1, len(every)))]
    name = data.draw(st.sampled_from(mails)).split(b"Message-ID: <")[1].split(b">")[0].decode()
    found = of(mails, name)
    if not any(problem.blocking for problem in found.problems):
        assert len({p.message_id[0] for part in found.parts for p in part.patches}) == 1

# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said of a commit message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.review.commits import Commit, Person, parse_commit
from reviewbot.review.message import check_message, load_rules

RULES = load_rules()
AUTHOR = Person("A Developer", "dev@example.org")
GOOD = "fuse: do it\n\nBecause it has to be done.\n\nSigned-off-by: A Developer <dev@example.org>\n"


def said(message: str, component: str = "kernel", *, sender: str = "", author: Person = AUTHOR) -> list[str]:
    """`severity: message` of all remarks."""
    found = check_message(Commit("0" * 40, author, message), sender, component, RULES)
    assert all(f.tool == "message" and not f.file for f in found)
    return [f"{f.severity}: {f.message}" for f in found]


def test_a_good_message_has_no_remarks() -> None:
    trailers = (
        'Fixes: 0123456789ab ("fuse: break it")\nCc: stable@vger.kernel.org # v6.1+\n'
        "Reported-by: R <r@x.org>\nCloses: https://lore.kernel.org/all/a@b/\nCo-developed-by: C <c@x.org>\n"
        "Signed-off-by: C <c@x.org>\n"
    )
    message = GOOD.replace("Signed-off-by: A", f"{trailers}Signed-off-by: A")
    assert said(message) == [] and said(message, sender="A Developer <dev@example.org>") == []


@pytest.mark.parametrize(
    ("old", "new", "remark"),
    [
        ("do it", "d" * 76, "warning: the subject has 82 characters, more than 75"),
        ("fuse: do it", "fixup! fuse: do it", "error: the commit is a fixup! of another"),
        ("Because it has to be done.\n\n", "",
         "warning: the message has a subject but no text that explains the change"),
        ("Signed-off-by: A Developer <dev@example.org>\n", "", "error: there is no Signed-off-by"),
        ("Signed-off-by: A", "Signed-off-By: A", "warning: “Signed-off-By:” should be written Signed-off-by"),
        ("Signed", "Link: lore\nSigned", "warning: Link: is not followed by a http(s) URL"),
        ("Signed", "Link: https://lore.kernel.org/all/\nSigned", "warning: Link: names an archive but no Message-ID"),
        ("Signed", "Closes: https://a.org/x y\nSigned", "warning: Closes: has blanks or <> in its URL"),
        ("Signed", "Reported-by: R <r@x.org>\nSigned",
         "note: Reported-by is not followed by a Closes: or Link: with the report"),
        ("Signed", "Cc: stable@vger.kernel.or\nSigned", "warning: Cc: of stable, but not to stable@vger.kernel.org"),
        ("Signed", "Cc: <stable@vger.kernel.org> v6.1\nSigned",
         "warning: Cc: of stable, with a comment that does not start with #"),
        ("Signed", "Co-developed-by: C <c@x.org>\nSigned",
         "warning: Co-developed-by is not followed by that person's Signed-off-by"),
        ("Signed", "Cc: C <c@x.org>\nCc: C <C@x.org>\nSigned", "warning: Cc: appears twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(old: str, new: str, remark: str) -> None:
    assert said(GOOD.replace(old, new, 1)) == [remark]


def test_a_stranger_who_signs_for_the_author_is_an_error_another_address_of_his_only_a_note() -> None:
    other = Person("Somebody Else", "else@example.org")
    assert said(GOOD, author=other) == ["error: no Signed-off-by of the author, Somebody Else <else@example.org>"]
    again = Person("Developer, A", "dev@home.example")
    assert [line.partition(":")[0] for line in said(GOOD, author=again)] == ["note"]
    tagged = Person("A Developer", "dev+list@example.org")
    assert said(GOOD, author=tagged) == []


def test_who_sends_the_patch_of_another_signs_last() -> None:
    relay = "M Maintainer <m@example.org>"
    remark = (
        "warning: sent by M Maintainer <m@example.org>, but the last Signed-off-by is of A Developer <dev@example.org>"
    )
    assert said(GOOD, sender=relay) == [remark]
    assert said(f"{GOOD}Signed-off-by: {relay}\n", sender=relay) == []
    assert said(GOOD, sender="A Developer via B4 Relay <devnull+dev.example.org@kernel.org>") == []


def test_customs_differ_between_projects() -> None:
    bare = "lib: do it\n\nBecause.\n"
    assert said(bare, "libfuse") == [] and said(bare, "e2fsprogs") == ["error: there is no Signed-off-by"]
    reported = GOOD.replace("Signed", "Reported-by: R <r@x.org>\nSigned")
    assert said(reported, "e2fsprogs") == []


def test_a_revert_may_have_a_long_subject() -> None:
    assert said(GOOD.replace("fuse: do it", f'Revert "{"x" * 72}"')) == []


@given(st.binary(max_size=400), st.text(max_size=40))
def test_any_bytes_are_a_message(raw: bytes, sender: str) -> None:
    commit = parse_commit("0" * 40, b"author \xff <a@\xe9> 1 +0000\nencoding utf-7\n\n" + raw)
    for finding in check_message(commit, sender, "kernel", RULES):
        assert "\n" not in finding.message and "\x1b" not in finding.message + finding.detail


@pytest.mark.parametrize(
    "piece", ["Link: x" + " " * 300 + "y\n", "Signed-off-by: " + "<@" * 200 + "\n", "a: b ", "Cc: stable@<"]
)
def test_a_message_made_to_be_slow_is_read_in_time(piece: str) -> None:
    assert len(said("x\n\n" + piece * (200_000 // len(piece)))) > 0


def test_the_declared_encoding_counts_and_a_wrong_one_does_no_harm() -> None:
    raw = "author Jürgen <j@x> 1 +0000\nencoding ISO-8859-1\n\nä".encode("latin-1")
    assert (parse_commit("x", raw).author.name, parse_commit("x", raw).message) == ("Jürgen", "ä")
    assert parse_commit("x", raw.replace(b"ISO-8859-1", b"no-such")).message == "ä"


def test_control_characters_do_not_pass() -> None:
    found = check_message(Commit("0" * 40, AUTHOR, "x" * 70 + "\x1b[31m\u202eabcdef\n\nbody\n"), "", "kernel", RULES)
    subject = next(f for f in found if "characters" in f.message)
    assert "\x1b" not in subject.detail and "\u202e" not in subject.detail

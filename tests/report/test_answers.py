# SPDX-License-Identifier: GPL-2.0-or-later
"""Each thread of a posting has its answer, and none has two."""

from email import message_from_bytes, policy
from email.message import EmailMessage

from reviewbot.model.posting import NEVER_SENT, Part, Patch, Posting
from reviewbot.report import Record
from reviewbot.report.answers import references
from reviewbot.report.mail import replies
from tests.mails import mail
from tests.report.records import judged, passing

OTHER = "Erin Example <erin@example.org>"


def part(component: str, cover: str | None, author: str) -> Part:
    patch = Patch(
        message_id=f"{component}.1@x", subject=f"[PATCH 1/1] {component}", author=author, number=1, paths=("a",)
    )
    return Part(component=component, counter="1/1", rfc=False, subject=component, cover=cover, patches=(patch,))


def record(*parts: Part, top: str) -> Record:
    found = passing()
    assert found.results
    author = parts[0].patches[0].author
    return judged(found.results, Posting(top=top, subject="[PATCH 0/1] one", author=author, source="", parts=parts))


def read(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


DANA = "Dana Example <dana@example.org>"
TWO = record(part("libfuse", "one@x", DANA), part("e2fsprogs", "two@x", OTHER), top="one@x")
MAILS = {
    "one@x": mail("one@x", "[PATCH 0/1] one", parent="older@x"),
    "libfuse.1@x": mail("libfuse.1@x", "[PATCH 1/1] libfuse", parent="one@x"),
    "two@x": mail("two@x", "[PATCH 0/1] zwei: “Ü”"),
    "e2fsprogs.1@x": mail("e2fsprogs.1@x", "[PATCH 1/1] e2fsprogs", parent="two@x"),
}


def test_two_threads_have_an_answer_each_to_their_own_author() -> None:
    found = replies(TWO, MAILS)
    assert list(found) == ["reply.eml", "reply-2.eml"]
    first, second = (read(raw) for raw in found.values())
    assert (first["In-Reply-To"], first["References"], first["To"]) == ("<one@x>", "<older@x> <one@x>", DANA)
    assert (second["In-Reply-To"], second["References"], second["To"]) == ("<two@x>", "<two@x>", OTHER)
    assert second["Subject"] == "Re: [PATCH 0/1] zwei: “Ü” (PASS)"
    assert first["Message-ID"] != second["Message-ID"]
    assert found == replies(TWO, MAILS), "the same again"
    assert first.get_content() == second.get_content()
    assert "The posting came in 2 threads; this reply goes to each." in first.get_content()


def test_files_that_were_never_sent_came_in_no_threads() -> None:
    unsent = TWO.model_copy(update={"posting": TWO.posting.model_copy(update={"top": f"0123@{NEVER_SENT}"})})
    assert "threads" not in read(replies(unsent, MAILS)["reply.eml"]).get_content()


def test_parts_of_one_thread_have_one_answer() -> None:
    below = {
        **MAILS,
        "two@x": mail("two@x", "[PATCH 0/1] two", parent="between@x"),
        "between@x": mail("between@x", "Re: x", parent="one@x"),
    }
    assert list(replies(TWO, below)) == ["reply.eml"]
    assert b" threads;" not in replies(TWO, below)["reply.eml"]
    siblings = {**MAILS, "two@x": mail("two@x", "[PATCH 0/1] two", parent="older@x")}
    assert list(replies(TWO, siblings)) == ["reply.eml"], "both answer a mail that is not here"


def test_a_part_whose_mail_is_not_there_has_no_answer_of_its_own() -> None:
    assert list(replies(TWO, {"one@x": MAILS["one@x"]})) == ["reply.eml"]


def test_mails_that_refer_to_each_other_come_to_an_end() -> None:
    circle = {**MAILS, "one@x": mail("one@x", "x", parent="libfuse.1@x")}
    assert len(replies(TWO, circle)) == 2


def test_only_the_headers_of_an_answered_mail_are_read() -> None:
    """Parts in parts, some thousand deep, end Python's parser."""
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(5_000))
    assert references(b"References: <a@example.org>\n" + deep) == ("<a@example.org>",)

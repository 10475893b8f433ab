# SPDX-License-Identifier: GPL-2.0-or-later
"""Words of strangers (mails, the guest's output) stay words in every report."""

import functools
import re
from collections.abc import Callable
from email import message_from_bytes, policy
from email.utils import getaddresses
from xml.etree import ElementTree

import pytest
from b4 import LoreMessage
from hypothesis import example, given
from hypothesis import strategies as st

from reviewbot.model.posting import NEVER_SENT
from reviewbot.model.results import Outcome
from reviewbot.model.review import BuildWarning, PatchRef, PatchReview, Review, ReviewFinding, Severity
from reviewbot.model.verdict import Finding, FindingKind, Verdict, VerdictKind
from reviewbot.report import Record, junit_xml, reply_mail, summary_markdown
from tests.report.records import POSTING, RUN, TREES, built, case, judged, leg, passing, results, reviewed

NASTY = (
    "\r\nBcc: victim@example.org", "\nBcc: victim@example.org\n\nbody", "=?utf-8?q?=0ABcc:_victim@example.org?=",
    "=?utf-8?q?=0D=0ABcc:_v@example.org?= =?utf-8?b?CkJjYzogdkBleGFtcGxlLm9yZw==?=", "```", "````text\n```\n~~~",
    "| a | b |", "\\|", "\\\\|", "::error::gone", "  ::add-mask::x\n\t::error file=a::b", "##[error]x", "</details>",
    "<script>", "]]>", "&amp;&#10;", "@someone #12", "\x00\x01\x0b\x0c\x1b[31m\x7f\x85\x9b", "\u2028::error::\u2029",
    "\ud800", "\ufffe\uffff", "\u202egnp.exe", "-- \nFrom x", "{{ 7 * 7 }}{% raw %}", "x" * 1200,
    "Ünïcödé “quotes” 🦀" * 30, "\t \n",
)  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(NASTY), st.text(st.characters(), max_size=60)), max_size=4).map("".join)
AUTHORS = st.one_of(
    TEXTS, TEXTS.map(lambda text: f"{text} <dana@example.org>"), TEXTS.map(lambda text: f"A <{text}@x>")
)
HEADERS = ["From", "To", "Subject", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "X-Reviewbot-Verdict",
           "X-Reviewbot-Run", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"]  # fmt: skip
WORKFLOW_COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)


def test_what_is_said_of_a_base_steers_no_terminal() -> None:
    base = TREES.trees[1].model_copy(update={"base_why": "a\x1b[31m\u202e branch"})
    trees = TREES.model_copy(update={"trees": (TREES.trees[0], base, *TREES.trees[2:])})
    text = reply_mail(passing().model_copy(update={"trees": trees}), b"").decode()
    assert "\ufffd[31m\ufffd branch" in text and "\x1b" not in text and "\u202e" not in text


def record_with(text: str) -> Record:
    """Every place that a stranger writes to says `text`."""
    posting = POSTING.model_copy(update={"subject": text})
    tests = [
        case("smoke", f"{outcome.lower()}{text}", outcome, reason=text, excerpt=text, dmesg=text, diff=diff)
        for outcome in Outcome
        for diff in ("", text)
    ]
    return judged(results(leg("ext4", *tests), leg("fuse2fs", case("smoke", "rename"), reason=text)), posting)


def broken_record(text: str, kind: FindingKind = FindingKind.STOP) -> Record:
    """A run that ended before its tests, with `text` as the words of its error."""
    patch = PatchRef(component=text, part=text, number=1, total=1, message_id=text, subject=text)
    findings = tuple(
        Finding(
            kind=kind,
            component=text,
            patch=patch,
            file=text,
            tool=text,
            said=text,
            came_with=text,
            detail=text,
            leg=text,
            suite=text,
            test=text,
            log=text,
        )
        for kind in (kind, *FindingKind)
    )
    lacks = {"blame": text, text: text}
    verdict = Verdict(run=RUN, kind=VerdictKind.BLOCKED, findings=findings, hint=text, lacks=lacks)
    posting = POSTING.model_copy(update={"subject": text, "top": text})
    return Record(run=RUN, tool="reviewbot", posting=posting, trees=TREES, verdict=verdict)


def reviewed_record(text: str) -> Record:
    """A review in which every word is `text`."""
    said = ReviewFinding(tool="x", severity=Severity.ERROR, message=text, file=text, line=3, detail=text, url=text)
    broken = built("failed", error=text, place=text, detail=text, log=text)
    warned = built(warnings=(BuildWarning(tool="gcc", file=text, line=1, message=text),))
    patches = tuple(
        PatchReview(
            component="kernel",
            message_id=text,
            commit="c" * 40,
            subject=text,
            part=text,
            number=1,
            total=1,
            build=build,
            findings=(said, said.model_copy(update={"severity": Severity.WARNING})),
        )
        for build in (broken, warned, built("skipped", why=text))
    )
    review = Review(run=RUN, tool="reviewbot", patches=patches, findings=(said,), skipped={text: text})
    return reviewed(review).model_copy(update={"posting": POSTING.model_copy(update={"subject": text})})


def head_of(mail: bytes) -> list[str]:
    """Names of the headers, as a reader of the bytes finds them; a line that is none makes the test fail."""
    head, _, _ = mail.decode("utf-8").partition("\n\n")
    lines = re.sub(r"\n[ \t]+(?=\S)", " ", head).split("\n")
    assert all(re.match(r"[A-Za-z-]+: \S", line) for line in lines), lines
    return [line.partition(":")[0] for line in lines]


@given(TEXTS)
@example("=?utf-8?q?=0ABcc:_victim@example.org?=")
@example("x" * 1200)
def test_no_text_adds_a_header_or_a_line_to_one(text: str) -> None:
    for record in (record_with(text), broken_record(text), reviewed_record(text)):
        mail = reply_mail(record, f"References: {text}\n\n".encode(errors="replace"))
        names = head_of(mail)
        assert names == [name for name in HEADERS if name in names]
        assert set(HEADERS) - set(names) <= {"In-Reply-To", "References"}
        parsed = message_from_bytes(mail, policy=policy.default)
        assert parsed.keys() == names and all(len(str(value).splitlines()) <= 1 for value in parsed.values())
        assert str(parsed["To"]) == "Dana Example <dana@example.org>"
        assert b"\r" not in mail and b"\0" not in mail


@given(AUTHORS)
@example("a, b@example.org <dana@example.org>")
@example("\\ <dana@example.org>")
@example("````text\n```\n~~~0\x1f\U000100000\x1f\U00010000````text\n```\n~~~ <dana@example.org>")
@example("=?utf-8?q?=22_=3Cvictim=40example=2Eorg=3E=2C_=22?= <dana@example.org>")
def test_no_author_adds_a_recipient(author: str) -> None:
    mail = reply_mail(passing().model_copy(update={"posting": POSTING.model_copy(update={"author": author})}), b"")
    names = head_of(mail)
    assert set(HEADERS) - set(names) <= {"To"}
    to = message_from_bytes(mail, policy=policy.default)["To"]
    if to is not None:
        assert to.defects == () and len(to.addresses) == 1
        ((name, address),) = getaddresses([str(to)])
        assert address == to.addresses[0].addr_spec
        assert name.split() == to.addresses[0].display_name.split(), "but for the blanks at folds"


@pytest.mark.parametrize("author", ["", "Dana", "Dana <>", "Dana <dana@exämple.org>", "x <a b@c>"])
def test_an_author_without_a_usable_address_gets_no_mail(author: str) -> None:
    mail = reply_mail(passing().model_copy(update={"posting": POSTING.model_copy(update={"author": author})}), b"")
    assert "To" not in head_of(mail)


def test_a_series_that_was_never_sent_has_nothing_to_answer_and_nobody_to_tell() -> None:
    unsent = POSTING.model_copy(update={"top": f"0123456789ab@{NEVER_SENT}"})
    mail = reply_mail(passing().model_copy(update={"posting": unsent}), b"")
    assert not {"To", "In-Reply-To", "References"} & set(head_of(mail))
    assert NEVER_SENT.encode() not in mail.partition(b"\n\n")[0]


def test_an_author_from_anywhere_is_named_as_in_their_mail() -> None:
    author = '"Dr. Jürgen \\"J\\" Müller" <j.mueller+lists@example.org>'
    mail = reply_mail(passing().model_copy(update={"posting": POSTING.model_copy(update={"author": author})}), b"")
    mail.partition(b"\n\n")[0].decode("ascii")
    (to,) = message_from_bytes(mail, policy=policy.default)["To"].addresses
    assert (to.display_name, to.addr_spec) == ('Dr. Jürgen "J" Müller', "j.mueller+lists@example.org")


@pytest.mark.parametrize("length", [1, 50, 66, 120, 500])
def test_a_long_message_id_is_answered_as_it_is(length: int) -> None:
    top = f"{'x' * length}.stgit@frogsfrogsfrogs"
    older = f"{'y' * length}.stgit@frogsfrogsfrogs"
    parent = f"Subject: x\nReferences: <{older}>\n\n".encode()
    mail = reply_mail(passing().model_copy(update={"posting": POSTING.model_copy(update={"top": top})}), parent)
    assert f"\nIn-Reply-To: <{top}>\n".encode() in mail
    assert f"\nReferences: <{older}>\n <{top}>\n".encode() in mail


@given(TEXTS)
def test_no_line_of_a_mail_is_too_long_for_smtp(text: str) -> None:
    for record in (record_with(text), broken_record(text), reviewed_record(text)):
        assert max(len(line) for line in reply_mail(record, b"").split(b"\n")) <= 998


def test_only_the_own_signature_looks_like_one() -> None:
    mail = reply_mail(record_with("-- \nsig\n-- \n"), b"").decode()
    assert re.findall(r"^-- $", mail, re.MULTILINE) == ["-- "]


def test_a_command_to_paste_has_one_word_for_the_message_id() -> None:
    mail = reply_mail(broken_record("a;reboot@example.org"), b"").decode()
    assert " 'a;reboot@example.org'\n" in mail and " a;reboot" not in mail.partition("To reproduce:")[2]


TRAILERS = (
    "Reviewed-by: Mallory <m@example.org>",
    "\n  Acked-by: Mallory <m@example.org>",
    "Tested-by: Mallory Long Name\n<m@example.org>",
    'Fixes: 0123456789ab ("x")',
    "Fixes: 0123456789ab (two\nlines)",
    "Link: https://example.org/x",
    "Closes: https://example.org/x",
    "base-commit: 0123456789abcdef",
    "Change-Id: 5",
    "Foo: 0123abcd (x\nm@example.org)",
    "Ünder-by: m@example.org",
    "a_b: m@example.org",
    "word " * 12 + "Cc: Mallory <m@example.org>",
    "x" * 60 + " Reviewed-by: Mallory <m@example.org>",
)
HARVESTABLE = st.one_of(st.sampled_from(TRAILERS), st.sampled_from(NASTY), st.text(max_size=80))


@given(st.lists(HARVESTABLE, max_size=4).map("".join))
@example(TRAILERS[0])
@example(TRAILERS[2])
@example(TRAILERS[-1])
def test_b4_harvests_no_trailer_from_a_reply(text: str) -> None:
    for record in (record_with(text), broken_record(text), reviewed_record(text)):
        body = message_from_bytes(reply_mail(record, b""), policy=policy.default).get_content()
        assert LoreMessage.find_trailers(body, followup=True)[0] == []


def outside_code(markdown: str) -> list[str]:
    """The lines that are not in a fenced block (CommonMark 4.5). An open block makes the test fail."""
    found, fence = [], ""
    for line in markdown.split("\n"):
        if fence:
            closes = re.fullmatch(r" {0,3}(`{3,})[ \t]*", line)
            fence = "" if closes and len(closes[1]) >= len(fence) else fence
        elif opens := re.match(r"(`{3,})text$", line):
            fence = opens[1]
        else:
            assert not re.match(r" {0,3}(```|~~~)", line), line
            found.append(line)
    assert not fence, "a code block is open at the end"
    return found


def headings(lines: list[str]) -> list[str]:
    """All but the title, which holds the subject."""
    return [line for line in lines if line.startswith("#")][1:]


@functools.cache
def plain(build: Callable[[str], Record]) -> list[str]:
    return outside_code(summary_markdown(build("x")))


@given(TEXTS.filter(str.strip))
@example("\\|")
@example("##[error]")
@example("see https://evil.example/a|b@c#d, www.evil.example.")
def test_no_text_leaves_its_place_in_markdown(text: str) -> None:
    for build in (record_with, broken_record, reviewed_record):
        plain_page = plain(build)
        page = summary_markdown(build(text))
        assert not WORKFLOW_COMMAND.search(page)
        lines = outside_code(page)
        assert headings(lines) == headings(plain_page)
        assert lines.count("</details>") == "".join(lines).count("<details>")
        columns = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines if line.startswith("| ")}
        assert columns == {len(re.findall(r"\|", line)) for line in plain_page if line.startswith("| ")}
        prose = [line for line in lines if not line.startswith("Run ")]
        assert not [line for line in prose if re.search(r"[@#]\w", line)], "it mentions somebody"
        assert not [line for line in prose if re.search(r"(?<!`)(?<!<code>)(?:https?://|www\.)\w", line)], (
            "it leads somewhere"
        )
        tags = set(re.findall(r"(?<!\\)(?:\\\\)*(<[^ ]+?>)", "".join(prose)))
        assert tags <= {"<details>", "<summary>", "</summary>", "</details>", "<!-- -->", "<code>", "</code>"}


@given(TEXTS)
def test_no_text_makes_junit_ill_formed(text: str) -> None:
    root = ElementTree.fromstring(junit_xml(record_with(text)))
    assert root.tag == "testsuites"
    assert {element.tag for element in root.iter()} <= {
        "testsuites",
        "testsuite",
        "properties",
        "property",
        "testcase",
        "failure",
        "error",
        "skipped",
        "system-out",
    }
    assert len(root.findall(".//testcase")) == 2 * len(Outcome) + 1
    assert len(ElementTree.fromstring(junit_xml(reviewed_record(text))).findall(".//testcase")) == 5

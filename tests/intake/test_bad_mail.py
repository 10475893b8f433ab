# SPDX-License-Identifier: GPL-2.0-or-later
"""Mail that is wrong in one particular way: what is said of it."""

import base64
import os
import quopri
import subprocess
import zlib
from pathlib import Path

import pytest

from demo.inbox import installed, serve
from reviewbot.config import load_stack
from reviewbot.intake import Mailbag, NoPatches, NotAnMbox, fetch_thread, pieces, read_mbox, split
from reviewbot.intake.attached import attached_mails
from reviewbot.intake.mail import parse_mail
from reviewbot.intake.mbox import MAX_BYTES
from reviewbot.model.mails import MAX_MAIL
from reviewbot.model.posting import Posting
from tests.mails import diff, mail, mbox
from tests.web import web_page

STACK = load_stack()
PATH = "fs/fuse/dev.c"


def read(*mails: bytes) -> Posting:
    return split(Mailbag("test", mails), None, STACK).posting


def blocking(*mails: bytes) -> list[tuple[str, str]]:
    """Kind and words of what blocks."""
    return [(problem.kind, problem.message) for problem in read(*mails).problems if problem.blocking]


def patch(body: str = "", *, subject: str = "[PATCH] fuse: x", headers: str = "") -> bytes:
    raw = mail("p@x", subject, body or diff(PATH))
    return raw.replace(b"MIME-Version", headers.encode() + b"MIME-Version", 1) if headers else raw


def test_a_patch_of_fifty_megabytes_is_not_looked_into(tmp_path: Path) -> None:
    count = 50 * (1 << 20) // 100
    body = diff(PATH).replace("+1,2 @@", f"+1,{count + 1} @@").replace("+new\n", ("+" + "x" * 98 + "\n") * count)
    path = tmp_path / "big.mbox"
    mails = [
        mail("c@x", "[PATCH 0/2] fuse: big"),
        mail("1@x", "[PATCH 1/2] fuse: small", diff(PATH), parent="c@x"),
        mail("2@x", "[PATCH 2/2] fuse: big", body, parent="c@x"),
    ]
    path.write_bytes(mbox(mails))
    found = split(read_mbox(path), None, STACK).posting
    (problem,) = (problem for problem in found.problems if problem.kind == "truncated-patch")
    assert problem.blocking
    assert f"larger than {MAX_MAIL >> 20} MiB" in problem.message
    assert problem.message_ids == ("2@x",)


def test_a_mailbox_of_more_than_its_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.mbox"
    path.write_bytes(mail("p@x", "[PATCH] fuse: big") + b"+x\n" * (MAX_BYTES // 3))
    with pytest.raises(NotAnMbox, match=f"larger than {MAX_BYTES >> 20} MiB"):
        read_mbox(path)


SIGNATURE = "-- "
DATA = base64.b85encode(zlib.compress(b"Hello world\n")).decode()
BINARY = f"""Add it.

---
diff --git a/fs/fuse/logo b/fs/fuse/logo
new file mode 100644
index 0000000000000000000000000000000000000000..802992c4220de19a90767f3000a79a31b98d0df7
GIT binary patch
literal 12
T{DATA}

literal 0
HcmV?d00001

{SIGNATURE}
2.39.5
"""


def test_a_binary_patch_is_taken() -> None:
    found = read(patch(BINARY))
    assert (found.problems, found.parts[0].patches[0].paths) == ((), ("fs/fuse/logo",))


def test_a_binary_patch_that_lost_a_line_is_noticed() -> None:
    ((kind, words),) = blocking(patch(BINARY.replace(f"T{DATA}\n", "")))
    assert kind == "truncated-patch"
    assert "does not unpack to its stated size" in words


def test_a_binary_file_without_its_content_blocks() -> None:
    text = "diff --git a/fs/fuse/logo b/fs/fuse/logo\nindex 1234567..89abcde 100644\n"
    text += "Binary files a/fs/fuse/logo and b/fs/fuse/logo differ\n"
    ((kind, words),) = blocking(patch(text))
    assert kind == "mangled-patch"
    assert "fs/fuse/logo came without its content" in words


def test_crlf_of_the_wire_is_no_content() -> None:
    assert read(patch().replace(b"\n", b"\r\n")).problems == ()


def encoded(body: bytes, how: str) -> bytes:
    head, _, _ = patch().replace(b"8bit", how.encode()).partition(b"\n\n")
    if how == "base64":
        return head + b"\n\n" + base64.encodebytes(body)
    return head + b"\n\n" + body.replace(b"=", b"=3D").replace(b"\r\n", b"=0D\n")


@pytest.mark.parametrize("how", ["base64", "quoted-printable"])
def test_crlf_of_encoded_text_is_no_content(how: str) -> None:
    body = patch().partition(b"\n\n")[2]
    found = read(encoded(body.replace(b"\n", b"\r\n"), how))
    assert (found.problems, found.parts[0].patches) == ((), read(encoded(body, how)).parts[0].patches)


def test_crlf_of_a_file_that_git_am_would_drop_blocks() -> None:
    ((kind, words),) = blocking(patch(diff(PATH).replace("+new\n", "+new\r\n")))
    assert kind == "mangled-patch"
    assert "unencoded CRLF line endings" in words


def test_crlf_of_a_file_that_is_encoded_is_taken() -> None:
    head, _, body = (
        patch(diff(PATH).replace("+new\n", "+new\r\n")).replace(b"8bit", b"quoted-printable").partition(b"\n\n")
    )
    text = body.replace(b"=", b"=3D").replace(b"\r\n", b"=0D\n")
    assert read(head + b"\n\n" + text).problems == ()


@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "utf-32"])
def test_a_patch_in_a_charset_that_git_cannot_read_blocks(charset: str) -> None:
    head, _, body = patch().replace(b"8bit", b"base64").replace(b"utf-8", charset.encode()).partition(b"\n\n")
    ((kind, _),) = blocking(head + b"\n\n" + base64.encodebytes(body.decode().encode(charset)))
    assert kind in ("mangled-patch", "truncated-patch")


def test_letters_that_would_change_their_bytes_block() -> None:
    body = diff(PATH, word="Jürgen").encode("latin-1")
    head, _, _ = patch().replace(b"utf-8", b"iso-8859-1").partition(b"\n\n")
    ((kind, words),) = blocking(head + b"\n\n" + body)
    assert kind == "mangled-patch"
    assert "charset iso-8859-1" in words


def test_a_wrong_label_on_utf8_costs_nothing() -> None:
    assert read(patch(diff(PATH, word="Jürgen")).replace(b'charset="utf-8"', b'charset="iso-8859-1"')).problems == ()


def test_flowed_text_that_lost_its_blanks_blocks() -> None:
    ((kind, words),) = blocking(patch().replace(b'charset="utf-8"', b'charset="utf-8"; format=flowed'))
    assert kind in ("mangled-patch", "truncated-patch")
    assert "p@x" in words


def test_an_html_part_with_the_same_diff_blocks() -> None:
    body = diff(PATH)
    raw = mail("p@x", "[PATCH] fuse: x", "").replace(
        b'text/plain; charset="utf-8"', b'multipart/alternative; boundary="b"'
    )
    parts = f"--b\nContent-Type: text/plain\n\n{body}\n--b\nContent-Type: text/html\n\n<pre>{body}</pre>\n--b--\n"
    ((kind, words),) = blocking(raw + parts.encode())
    assert kind == "mangled-patch"
    assert "HTML part" in words


BROKEN_MIME = {
    "a boundary that never comes": b'multipart/mixed; boundary="nowhere"',
    "no boundary": b"multipart/mixed",
    "an empty type": b"",
    "a type of junk": b";;;=\xff; charset=\x00",
    "a charset of junk": b'text/plain; charset="=?utf-8?q?x?="',
    "boundary in a text part": b'text/plain; boundary="--"',
}


@pytest.mark.parametrize("how", sorted(BROKEN_MIME))
def test_broken_mime_is_read_as_git_reads_it_or_refused(how: str) -> None:
    raw = patch().replace(b'text/plain; charset="utf-8"', BROKEN_MIME[how])
    try:
        found = read(raw)
    except NoPatches:
        return
    assert [p.paths for p in found.parts[0].patches] == [(PATH,)]


def test_deeply_nested_mime_ends() -> None:
    head, _, body = patch().partition(b"\n\n")
    head = head.replace(b'Content-Type: text/plain; charset="utf-8"\nContent-Transfer-Encoding: 8bit', b"")
    for depth in range(300):
        body = b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n%s\n--b%d--\n' % (depth, depth, body, depth)
    try:
        read(head.rstrip(b"\n") + b"\n" + body)
    except NoPatches:
        return


def test_a_hunk_that_was_cut_is_noticed() -> None:
    ((kind, words),) = blocking(patch(diff(PATH).replace("@@ -1 +1,2 @@", "@@ -1,3 +1,4 @@")))
    assert kind == "truncated-patch"
    assert "@@ -1,3 +1,4 @@" in words


def test_numbers_of_any_length_are_no_crash() -> None:
    ((kind, _),) = blocking(patch(diff(PATH).replace("+1,2 @@", f"+1,{'9' * 5000} @@")))
    assert kind == "mangled-patch"


def test_a_file_that_is_missing_against_the_diffstat_is_noticed() -> None:
    body = diff(PATH).replace("---\n", "---\n a | 1 +\n b | 1 +\n 2 files changed, 2 insertions(+)\n\n", 1)
    ((kind, words),) = blocking(patch(body))
    assert kind == "truncated-patch"
    assert "its diffstat lists 2 files, its diff has 1" in words


def test_a_diffstat_that_hand_work_made_wrong_is_no_reason_to_block() -> None:
    body = diff(PATH).replace("---\n", "---\n a | 3 +++\n 1 file changed, 3 insertions(+)\n\n", 1)
    assert read(patch(body)).problems == ()


def test_paths_without_prefixes_block() -> None:
    ((kind, words),) = blocking(patch(diff(PATH).replace("a/fs", "fs").replace("b/fs", "fs")))[:1]
    assert kind == "mangled-patch"
    assert "lack the prefixes a/ and b/" in words


def test_two_mails_with_one_message_id_and_two_diffs_block() -> None:
    ((kind, words),) = blocking(patch(), patch(diff(PATH, word="evil")))
    assert kind == "conflicting-copies"
    assert "<p@x> is here 2 times with different content" in words


def test_the_part_that_was_asked_for_alone_is_no_excuse_for_two_mails() -> None:
    mails = [mail("t@x", "[PATCHBLIZZARD] all")]
    for n in (1, 2):
        mails += [
            mail(f"c{n}@x", f"[PATCHSET {n}/2] fuse: {n}", parent="t@x"),
            mail(f"p{n}@x", f"[PATCH 1/1] fuse: {n}", diff(PATH), parent=f"c{n}@x"),
        ]
    mails.append(mail("p1@x", "[PATCH 1/1] fuse: 1", diff(PATH, word="evil"), parent="c1@x"))
    (piece,) = pieces(Mailbag("test", tuple(mails)), ["c1@x"], STACK, part_only=True)
    assert "conflicting-copies" in [problem.kind for problem in piece.problems if problem.blocking]


def test_what_a_list_adds_to_a_copy_is_no_conflict() -> None:
    raw = patch()
    listed = b"Received: from a by b\nList-Id: <fuse>\n" + raw + b"\n____________\nfuse mailing list\n"
    head, _, body = raw.replace(b"8bit", b"quoted-printable").partition(b"\n\n")
    assert read(raw, listed, head + b"\n\n" + quopri.encodestring(body)).problems == ()


def test_covers_that_name_two_bases_block() -> None:
    covers = [mail("c@x", "[PATCH 0/1] fuse: x", f"base-commit: {digit * 40}\n") for digit in "ab"]
    ((kind, _),) = blocking(*covers, mail("p@x", "[PATCH 1/1] fuse: x", diff(PATH), parent="c@x"))
    assert kind == "conflicting-copies"


def hostile(folder: Path, url: str) -> None:
    """A folder whose settings of git and b4 send everybody elsewhere."""
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    keys = ("b4.midmask", "b4.linkmask", "b4.searchmask", "lore.fallback", "lore.origin", "lore.url", "lore.upstream")
    lines = [f"[{key.partition('.')[0]}]\n\t{key.partition('.')[2]} = {url}/%s\n" for key in keys]
    lines.append(f'[url "{url}/"]\n\tinsteadOf = http://\n[http]\n\tproxy = {url}\n[mailinfo]\n\tscissors = true\n')
    with (folder / ".git" / "config").open("a") as file:
        file.writelines(lines)
    (folder / ".b4-config").write_text("".join(lines))


@pytest.mark.skipif(not installed(), reason="public-inbox is not installed")
def test_settings_of_the_current_folder_do_not_redirect_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_page(200, mail("p@x", "[PATCH] evil", diff("lib/evil.c"))) as url:
        hostile(tmp_path, url)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", os.devnull)
        with serve([patch()], tmp_path / "inbox") as archive:
            bag = fetch_thread("p@x", archive, tmp_path / "cache")
    assert split(bag, "p@x", STACK).posting.parts[0].patches[0].paths == (PATH,)
    assert bag.source.startswith(archive)


def test_settings_of_the_current_folder_do_not_change_how_a_mail_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile(tmp_path, "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    body = f"{diff(PATH, word='one')}\n-- >8 --\n{diff('fs/fuse/file.c')}"
    raw = patch(body).replace(b'charset="utf-8"', b'charset="us-ascii"; x="flowed"')
    assert read(raw).parts[0].patches[0].paths == (PATH, "fs/fuse/file.c")


HEAD = b"From: A <a@example.org>\nMessage-ID: <x@example.org>\n"
TAGGED = HEAD + b"Subject: [PATCH] x\n"
DIFF = b"\n---\ndiff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1,2 @@\n x\n+y\n"
DEEP = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(20_000))
SLOW = {
    "parts in parts": TAGGED + DEEP,
    "encoded words": HEAD + b"Subject: " + b"=?utf-8?q?a?= " * 100_000 + DIFF,
    "punycode": HEAD + b"Subject: =?punycode?q?a-" + b"zz9" * 1_000_000 + b"?=\n" + DIFF,
    "parameters": TAGGED
    + b"Content-Type: text/plain;"
    + b"".join(b" a*%d=a;" % n for n in range(50_000))
    + b"\n"
    + DIFF,
    "headers": TAGGED + b"X: y\n" * 500_000 + DIFF,
    "brackets": TAGGED + b"Cc: " + b"(" * 100_000 + b"\nTo: " + b"a:" * 100_000 + b"\n" + DIFF,
}


@pytest.mark.parametrize("what", SLOW)
def test_what_takes_pythons_parser_too_long_is_not_looked_into(what: str) -> None:
    """Some of these take hours, the others end the parser with a RecursionError."""
    mail = parse_mail(SLOW[what])
    assert mail is not None and mail.id == "x@example.org"
    assert mail.patch.trouble.startswith(("the mail has more than", "a part of the mail", "more than 40 parts"))
    assert attached_mails(SLOW[what]) == ()


def test_brackets_without_end_in_a_short_header() -> None:
    mail = parse_mail(b"Cc: " + b"(" * 20_000 + b"\n" + TAGGED + DIFF)
    assert mail is not None and mail.address == "a@example.org" and mail.paths == ("a",)


def test_blank_lines_and_long_names_are_read_once() -> None:
    assert parse_mail(TAGGED + b"\n" + b" \n" * 300_000 + DIFF)
    names = b"a " * 200_000
    mail = parse_mail(TAGGED + b"\n---\ndiff --git a/" + names + b" b/" + names + b"\n--- a/x\n+++ b/x\n")
    assert mail is not None and mail.patch.trouble

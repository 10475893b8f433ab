# SPDX-License-Identifier: GPL-2.0-or-later
"""DKIM and patatt, signed and checked for real; the keys are made here, and DNS is a server on loopback."""

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import dkim
import dns.message
import dns.rrset
import nacl.signing
import patatt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbot.config import AttestationPolicy
from reviewbot.intake import Intake, attest
from reviewbot.intake.attest import Lookup, NoAnswer, _resolver
from reviewbot.model.posting import Attestation
from tests.intake.conftest import lone, series, taken

KEY = nacl.signing.SigningKey(bytes(range(32)))
RECORD = b"v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes(KEY.verify_key))
ME = "dev@example.org"


def signed(raw: bytes, domain: str = "example.org", *, selector: str = "s1", length: bool = False) -> bytes:
    """With a DKIM-Signature on top."""
    d = dkim.DKIM(raw, signature_algorithm=b"ed25519-sha256")
    header = d.sign(
        selector.encode(),
        domain.encode(),
        base64.b64encode(bytes(KEY)),
        length=length,
        include_headers=[b"from", b"subject", b"date"],
    )
    return bytes(header).replace(b"\r\n", b"\n") + raw


def developer(raw: bytes, identity: str = ME) -> bytes:
    """With an X-Developer-Signature."""
    return patatt.sign_message(raw, "ed25519", base64.b64encode(bytes(KEY)).decode(), identity, "default")


@pytest.fixture
def keyring(tmp_path: Path) -> str:
    key = tmp_path / "keys" / "ed25519" / "example.org" / "dev" / "default"
    key.parent.mkdir(parents=True)
    key.write_bytes(base64.b64encode(bytes(KEY.verify_key)))
    return str(tmp_path / "keys")


def published(name: str) -> bytes | None:
    return RECORD if name.startswith("s1._domainkey.") else None


def nobody(name: str) -> bytes | None:
    raise NoAnswer("no name server responded")


PATCH = lone("p", "PATCH", "fuse: signed")


def shown(raw: bytes, keyring: str = "", lookup: Lookup = published) -> Attestation:
    found = attest(taken([raw]), AttestationPolicy(keyring=keyring), lookup).posting.parts[0].patches[0].attestation
    assert found is not None
    return found


def test_dkim_of_the_authors_domain_passes() -> None:
    found = shown(signed(PATCH))
    assert (found.dkim, found.dkim_domain, found.patatt, found.why) == ("pass", "example.org", "none", "")


BRITISH = PATCH.replace(b"@example.org>", b"@dev.example.co.uk>")


@pytest.mark.parametrize(
    ("raw", "state", "words"),
    [
        (PATCH, "none", ""),
        (signed(BRITISH, "example.co.uk"), "pass", ""),
        (signed(BRITISH, "co.uk"), "none", "not the author's domain"),
        (signed(PATCH).replace(b"+x", b"+y"), "fail", "example.org"),
        (signed(PATCH, "lists.example.net"), "none", "DKIM of lists.example.net, which is not the author's domain"),
        (signed(PATCH, "mail.example.org"), "pass", ""),
        (signed(PATCH, "org"), "none", "not the author's domain"),
        (signed(PATCH, "evilexample.org"), "none", "not the author's domain"),
        (signed(PATCH, selector="old"), "unchecked", "DNS has no key old._domainkey.example.org"),
        (signed(PATCH, length=True) + b"diff --git a/evil b/evil\n", "fail", "only the beginning of the mail"),
        (b"From: Other <o@example.org>\n" + signed(PATCH), "fail", "more than one From:"),
        (b"DKIM-Signature: v=1; d=example.org; s=s1; b=\n" + PATCH, "fail", "example.org"),
        (b"DKIM-Signature: \xff;;=\n" + PATCH, "none", ""),
        (signed(signed(PATCH), "lists.example.net"), "pass", ""),
        (signed(signed(PATCH), selector="old"), "pass", ""),
    ],
)
def test_what_dkim_shows(raw: bytes, state: str, words: str) -> None:
    found = shown(raw)
    assert found.dkim == state
    assert words in found.why


def test_no_name_server_leaves_dkim_unchecked() -> None:
    found = shown(signed(PATCH), lookup=nobody)
    assert (found.dkim, found.why) == ("unchecked", "DKIM of example.org: no name server responded")


def test_each_key_is_looked_up_once() -> None:
    asked: list[str] = []

    def lookup(name: str) -> bytes | None:
        asked.append(name)
        return RECORD

    mails = series("c", "0/4", "fuse: four", ("a", "b", "c", "d"))
    found = attest(taken([mails[0], *map(signed, mails[1:])], "c@x"), AttestationPolicy(), lookup)
    assert asked == ["s1._domainkey.example.org"]
    states = [patch.attestation and patch.attestation.dkim for patch in found.posting.parts[0].patches]
    assert states == ["pass"] * 4


@pytest.mark.parametrize("wrong", ["body", "subject"])
def test_patatt_of_the_author_passes_and_breaks(keyring: str, wrong: str) -> None:
    good = developer(PATCH)
    found = shown(good, keyring)
    assert (found.patatt, found.patatt_signer, found.why) == ("pass", ME, "")
    changed = good.replace(b"+x", b"+y") if wrong == "body" else good.replace(b"fuse: signed", b"fuse: forged")
    assert shown(changed, keyring).patatt == "fail"


def test_patatt_that_cannot_be_checked(keyring: str, tmp_path: Path) -> None:
    assert shown(developer(PATCH)).why == f"patatt of {ME}: this site has no keyring"
    assert shown(developer(PATCH), str(tmp_path)).why == f"patatt of {ME}: the keyring has no such key"
    other = shown(developer(PATCH, "o@example.org"), keyring)
    assert (other.patatt, other.why) == ("none", "patatt of o@example.org, who is not the author")
    assert shown(b"X-Developer-Signature: v=1; nonsense\n" + PATCH, keyring).patatt != "pass"


@pytest.mark.parametrize(("require", "blocked"), [("none", 0), ("dkim", 2), ("patatt", 2), ("any", 1)])
def test_a_policy_blocks_what_does_not_show_it(keyring: str, require: str, blocked: int) -> None:
    cover, one, two, three = series("c", "0/3", "fuse: three", ("a", "b", "c"))
    mails = [cover, signed(one), developer(two), three]
    found = attest(
        taken(mails, "c@x"), AttestationPolicy.model_validate({"require": require, "keyring": keyring}), published
    )
    problems = found.posting.problems
    assert sum(len(problem.message_ids) for problem in problems) == blocked
    assert all((problem.kind, problem.blocking) == ("unattested", True) for problem in problems)
    if blocked:
        assert "c.3@x" in problems[0].message_ids
        assert "it is not signed" in problems[0].message


@contextmanager
def name_server() -> Iterator[int]:
    """A DNS server on loopback that knows one key; its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                data, peer = server.recvfrom(4096)
                if data == b"stop":
                    return
                query = dns.message.from_wire(data)
                reply = dns.message.make_response(query)
                name = query.question[0].name
                if str(name).startswith("s1._domainkey."):
                    middle = len(RECORD) // 2
                    text = f'"{RECORD[:middle].decode()}" "{RECORD[middle:].decode()}"'
                    reply.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", text))
                server.sendto(reply.to_wire(), peer)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stop:
                stop.sendto(b"stop", server.getsockname())
            thread.join()


def use(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], port
    monkeypatch.setattr(dns.resolver, "Resolver", lambda: resolver)


def test_keys_come_from_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    with name_server() as port:
        use(monkeypatch, port)
        found = attest(taken([signed(PATCH)]), AttestationPolicy(require="dkim"))
        assert _resolver()("s2._domainkey.example.org") is None
    assert found.posting.problems == ()
    assert found.posting.parts[0].patches[0].attestation == Attestation(
        dkim="pass", dkim_domain="example.org", patatt="none"
    )


def test_a_silent_name_server_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(0.2)
        use(monkeypatch, silent.getsockname()[1])
        domains = [f"d{number}.example.org" for number in range(9)]
        mails = series("c", "0/9", "fuse: nine", tuple("abcdefghi"))
        signatures = [signed(raw, domain) for raw, domain in zip(mails[1:], domains, strict=True)]
        found: Intake = attest(taken([mails[0], *signatures], "c@x"), AttestationPolicy())
        questions = set()
        try:
            while True:
                questions.add(str(dns.message.from_wire(silent.recv(4096)).question[0].name))
        except TimeoutError:
            pass
    states = [patch.attestation and patch.attestation.dkim for patch in found.posting.parts[0].patches]
    assert states == ["unchecked"] * 9
    assert questions == {"."}


WHOLE = taken([PATCH])
TAGS = st.lists(
    st.sampled_from(
        [
            "v=1",
            "a=ed25519-sha256",
            "a=rsa-sha256",
            "d=example.org",
            "s=s1",
            "s=default",
            "h=from:subject",
            "bh=AAAA",
            "b=AAAA",
            "b=!",
            "l=3",
            "i=dev@example.org",
            "t=1",
            "c=relaxed/simple",
            "m=1",
            "=",
            "\xe9",
        ]
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(TAGS, TAGS, st.sampled_from([None, b"", b"\xff", RECORD, b"v=DKIM1; k=rsa; p=AAAA"]))
def test_no_signature_makes_it_raise_and_none_that_is_broken_passes(
    tmp_path_factory: pytest.TempPathFactory, one: list[str], two: list[str], key: bytes | None
) -> None:
    folder = tmp_path_factory.getbasetemp() / "keys-of-nobody"
    path = folder / "ed25519" / "example.org" / "dev" / "default"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"junk" if key is None else key)
    headers = f"DKIM-Signature: {';'.join(one)}\nX-Developer-Signature: {'; '.join(two)}\n".encode("latin-1")
    intake = replace(WHOLE, mails={"p@x": headers + PATCH})
    found = attest(intake, AttestationPolicy(keyring=str(folder)), lambda name: key).posting.parts[0].patches[0]
    assert found.attestation is not None
    assert "pass" not in (found.attestation.dkim, found.attestation.patatt)

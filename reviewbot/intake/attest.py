# SPDX-License-Identifier: GPL-2.0-or-later
"""Who wrote a patch, as far as signatures tell: DKIM of the author's domain, patatt of the author's key.

Only what speaks for the From: of the mail counts. A list's own signature says that the list passed it on, no more.
"""

import functools
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from publicsuffixlist import PublicSuffixList

from reviewbot.config import AttestationPolicy
from reviewbot.intake.mail import parse_mail
from reviewbot.intake.split import Intake
from reviewbot.model.errors import ReviewbotError
from reviewbot.model.posting import Attestation, Part, Patch, Posting, Problem, Signed
from reviewbot.model.words import counted

# dkim, patatt and dns are imported where a signature calls for them: together they cost 0.1 s, and most mailboxes and
# every mail of `plan --help` have none.
logging.getLogger("patatt").setLevel(logging.CRITICAL)

_ALIVE = 0.6
"""Seconds in which a name server must answer what it surely knows, or there is none."""
_PATIENCE = 5.0
"""Seconds for the key of one domain, when there is a name server."""
_ALGORITHMS = ("ed25519", "openssh", "openpgp")


class NoAnswer(ReviewbotError):
    """A name could not be looked up: no name server, or no answer in time. Says nothing of the name."""


Lookup = Callable[[str], bytes | None]
"""TXT record of a name (no dot at its end); None if there is none. Raises NoAnswer."""


@dataclass(frozen=True, slots=True)
class _Signature:
    """One DKIM-Signature header, as far as it is needed to choose."""

    place: int
    """Among the mail's signatures, from the top."""
    domain: str
    selector: str
    partial: bool
    """It has `l=`: whatever follows those bytes is not signed."""

    @property
    def name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"


def attest(found: Intake, policy: AttestationPolicy, lookup: Lookup | None = None) -> Intake:
    """Fills the attestation of every patch, prerequisites too; what a policy misses becomes a blocking Problem.

    lookup: for tests and for sites with their own DNS; None asks this machine's name servers, in parallel, and only if
    they answer at all.
    """
    patches = list(_patches(found.posting))
    if not patches:
        return found
    raws = {patch.message_id: found.mails.get(patch.message_id, b"") for patch in patches}
    signatures = {key: _signatures(raw) for key, raw in raws.items()}
    keys = _keys({s.name for key, several in signatures.items() for s in several if _aligned(s, raws[key])}, lookup)
    attested = {key: _attestation(raw, signatures[key], keys, policy.keyring) for key, raw in raws.items()}
    posting = found.posting.model_copy(update={"parts": tuple(_with(part, attested) for part in found.posting.parts)})
    problem = _unattested(patches, attested, policy)
    if problem is not None:
        posting = posting.model_copy(update={"problems": (*posting.problems, problem)})
    return replace(found, posting=posting)


def _patches(posting: Posting) -> Iterable[Patch]:
    for part in posting.parts:
        for entry in part.prerequisites:
            yield from entry.patches
        yield from part.patches


def _with(part: Part, attested: Mapping[str, Attestation]) -> Part:
    def signed(patches: tuple[Patch, ...]) -> tuple[Patch, ...]:
        return tuple(p.model_copy(update={"attestation": attested[p.message_id]}) for p in patches)

    below = tuple(entry.model_copy(update={"patches": signed(entry.patches)}) for entry in part.prerequisites)
    return part.model_copy(update={"patches": signed(part.patches), "prerequisites": below})


def _unattested(
    patches: Iterable[Patch], attested: Mapping[str, Attestation], policy: AttestationPolicy
) -> Problem | None:
    """One problem for all: who wants attestation and gets none wants to read it once."""
    if policy.require == "none":
        return None
    reasons: dict[str, list[Patch]] = defaultdict(list)
    for patch in patches:
        shown = attested[patch.message_id]
        good = {"dkim": shown.dkim == "pass", "patatt": shown.patatt == "pass"}
        if not (any(good.values()) if policy.require == "any" else good[policy.require]):
            reasons[shown.why or "it is not signed"].append(patch)
    if not reasons:
        return None
    missing = [patch for several in reasons.values() for patch in several]
    wanted = "DKIM or patatt" if policy.require == "any" else {"dkim": "DKIM"}.get(policy.require, policy.require)
    said = "; ".join(
        f"“{several[0].subject}”{f' and {len(several) - 1} more' if len(several) > 1 else ''}: {why}"
        for why, several in reasons.items()
    )
    text = f"{counted(len(missing), 'patch')} without {wanted} of the author, which this site requires: {said}"
    return Problem(kind="unattested", message=text, blocking=True, message_ids=tuple(p.message_id for p in missing))


def _attestation(
    raw: bytes, signatures: tuple[_Signature, ...], keys: Mapping[str, bytes | NoAnswer | None], keyring: str
) -> Attestation:
    if len(re.findall(rb"(?im)^from[ \t]*:", _headers(raw))) > 1:
        return Attestation(dkim="fail", patatt="fail", why="it has more than one From:")
    state, domain, why_dkim = _dkim(raw, signatures, keys)
    patatt_state, signer, why_patatt = _patatt(raw, keyring)
    why = "; ".join(word for word in (why_dkim, why_patatt) if word)
    return Attestation(dkim=state, dkim_domain=domain, patatt=patatt_state, patatt_signer=signer, why=why)


def _headers(raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0]


# DKIM


def _signatures(raw: bytes) -> tuple[_Signature, ...]:
    if not re.search(rb"(?im)^dkim-signature[ \t]*:", _headers(raw)):
        return ()
    import dkim

    try:
        headers = dkim.DKIM(raw).headers
    except (dkim.DKIMException, ValueError, IndexError, AttributeError):
        return ()
    found = []
    values = [value for name, value in headers if name.lower() == b"dkim-signature"]
    for place, value in enumerate(values):
        tags = {k.strip(): re.sub(rb"\s+", b"", v) for k, eq, v in (t.partition(b"=") for t in value.split(b";")) if eq}
        domain, selector = (tags.get(key, b"").decode("ascii", "replace").lower() for key in (b"d", b"s"))
        if re.fullmatch(r"[\w.-]+", domain) and re.fullmatch(r"[\w.-]+", selector):
            found.append(_Signature(place, domain.strip("."), selector, b"l" in tags))
    return tuple(found)


def _aligned(signature: _Signature, raw: bytes) -> bool:
    """The author's domain, one above it that is not a whole registry's (`co.uk`, `github.io`), or one below it."""
    mail = parse_mail(raw)
    author = mail.address.rpartition("@")[2] if mail else ""
    signer = signature.domain
    return (
        _registries().privatesuffix(signer) is not None
        and bool(author)
        and (author == signer or author.endswith(f".{signer}") or signer.endswith(f".{author}"))
    )


@functools.cache
def _registries() -> PublicSuffixList:
    """The public suffix list, as its package ships it."""
    return PublicSuffixList()


def _dkim(
    raw: bytes, signatures: tuple[_Signature, ...], keys: Mapping[str, bytes | NoAnswer | None]
) -> tuple[Signed, str, str]:
    """State, domain, and why it did not pass."""
    if not signatures:
        return "none", "", ""
    ours = [signature for signature in signatures if _aligned(signature, raw)]
    if not ours:
        domains = ", ".join(dict.fromkeys(signature.domain for signature in signatures))
        return "none", signatures[0].domain, f"DKIM of {domains}, which is not the author's domain"
    judged = [(_verified(raw, signature, keys[signature.name]), signature) for signature in ours]
    for state in ("pass", "unchecked", "fail"):
        for (found, why), signature in judged:
            if found == state:
                return found, signature.domain, why
    raise AssertionError("a signature without a state")


def _verified(raw: bytes, signature: _Signature, key: bytes | NoAnswer | None) -> tuple[Signed, str]:
    if signature.partial:
        return "fail", f"DKIM of {signature.domain} covers only the beginning of the mail (l=)"
    if isinstance(key, NoAnswer):
        return "unchecked", f"DKIM of {signature.domain}: {key}"
    if key is None:
        return "unchecked", f"DKIM of {signature.domain}: DNS has no key {signature.name}"
    import dkim

    try:
        good = dkim.DKIM(raw).verify(idx=signature.place, dnsfunc=lambda name, timeout=5: key)
    except (dkim.DKIMException, ValueError, KeyError, IndexError, TypeError) as error:
        return "fail", f"DKIM of {signature.domain}: {(str(error).splitlines() or ['broken'])[0][:120]}"
    return ("pass", "") if good else ("fail", f"DKIM of {signature.domain} does not match the mail")


def _keys(names: set[str], lookup: Lookup | None) -> dict[str, bytes | NoAnswer | None]:
    """Each name asked for once, all at the same time."""
    if not names:
        return {}
    ask = lookup or _resolver()

    def one(name: str) -> bytes | NoAnswer | None:
        try:
            return ask(name)
        except NoAnswer as error:
            return error

    listed = sorted(names)
    with ThreadPoolExecutor(max_workers=8) as pool:
        return dict(zip(listed, pool.map(one, listed), strict=True))


def _resolver() -> Lookup:
    """This machine's name servers, or at once nobody."""
    import dns.exception
    import dns.resolver

    dead = NoAnswer("no name server responded")
    try:
        resolver = dns.resolver.Resolver()
        resolver.resolve(".", "NS", lifetime=_ALIVE, raise_on_no_answer=False)
    except (dns.exception.DNSException, OSError):

        def nobody(name: str) -> bytes | None:
            raise dead

        return nobody

    def ask(name: str) -> bytes | None:
        try:
            answer = resolver.resolve(f"{name}.", "TXT", lifetime=_PATIENCE)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None
        except (dns.exception.DNSException, OSError) as error:
            raise NoAnswer(f"no answer for {name}") from error
        return next((b"".join(record.strings) for record in answer), None)

    return ask


# patatt


def _patatt(raw: bytes, keyring: str) -> tuple[Signed, str, str]:
    """State, signer, and why it did not pass. The whole body must be signed: an `l=` does not help."""
    if not re.search(rb"(?im)^x-developer-signature:", _headers(raw)):
        return "none", "", ""
    import patatt

    patatt.logger.setLevel(logging.CRITICAL)
    mail = parse_mail(raw)
    author = mail.address if mail else ""
    try:
        message = patatt.PatattMessage(raw)
        signatures = message.get_sigs()
    except Exception as error:  # patatt raises RuntimeError, ValueError and its own on broken input
        return "fail", "", f"patatt: {(str(error).splitlines() or ['broken'])[0][:120]}"
    signers = [signature.get_field_as_str("i") or author for signature in signatures]
    ours = [(s, who) for s, who in zip(signatures, signers, strict=True) if who.lower() == author]
    if not ours:
        return "none", signers[0] if signers else "", f"patatt of {', '.join(signers)}, who is not the author"
    signature, who = ours[0]
    if not keyring:
        return "unchecked", who, f"patatt of {who}: this site has no keyring"
    algorithm = next((a for a in _ALGORITHMS if (signature.get_field_as_str("a") or "").startswith(a)), "")
    try:
        key, _ = patatt.get_public_key(
            str(Path(keyring).expanduser()), algorithm, who, signature.get_field_as_str("s") or "default"
        )
    except KeyError:
        return "unchecked", who, f"patatt of {who}: the keyring has no such key"
    except Exception as error:
        return "fail", who, f"patatt of {who}: {(str(error).splitlines() or ['broken'])[0][:120]}"
    try:
        message.validate(who, key)
    except Exception as error:
        return "fail", who, f"patatt of {who}: {(str(error).splitlines() or ['broken'])[0][:120]}"
    return "pass", who, ""

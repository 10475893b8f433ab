# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of several mails is the patch: copies of one mail, resends, re-rolls of a single patch."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from reviewbot.intake.mail import Mail
from reviewbot.model.posting import Problem


def merged(copies: Sequence[Mail]) -> Mail:
    """The first of the mails with one Message-ID, which knows whether another says something else."""
    first = copies[0]
    others = tuple(mail.subject.text for mail in copies[1:] if _meaning(mail) != _meaning(first))
    return replace(first, conflicts=others) if others else first


def conflicting_copies(mails: Iterable[Mail]) -> list[Problem]:
    """A Problem for each Message-ID whose mails say different things about the series.

    What lists do to mails on their way is no difference: footers, more headers, another transfer encoding.
    """
    return [
        Problem(
            kind="conflicting-copies",
            blocking=True,
            message_ids=(mail.id,),
            message=f"“{mail.subject.text}” <{mail.id}> is here {len(mail.conflicts) + 1} times with different content"
            f"{_also(mail)}",
        )
        for mail in mails
        if mail.conflicts
    ]


def _also(mail: Mail) -> str:
    """The other subjects under the same Message-ID: somebody else's mail, or git's second cover of one second."""
    others = [text for text in dict.fromkeys(mail.conflicts) if text != mail.subject.text]
    if not others:
        return ""
    cover = "; git gives covers that it writes within one second one Message-ID: send one of them again"
    return f", also as “{'”, “'.join(others[:3])}”{cover if mail.id.startswith('cover.') else ''}"


def _meaning(mail: Mail) -> tuple[object, ...]:
    """All of a mail that decides what is tested; of mails that are neither patch nor cover, nothing."""
    if not (mail.is_patch or mail.is_cover):
        return ()
    subject = mail.subject
    words = mail.log if mail.is_patch else ""
    return (
        subject.title, subject.kinds, subject.version, subject.number, subject.total, mail.address, mail.parents,
        mail.trailers, mail.pull, mail.patch, words,
    )  # fmt: skip


def one_of(several: Sequence[Mail], name: str) -> tuple[Mail, Problem | None]:
    """The mail that stands for a number, and what to say if there was a choice.

    A resend is taken for the same patch if its diff is the same. A higher version of one patch, sent below the
    patch that it replaces, is taken instead of it. Everything else blocks.
    """
    if len(several) == 1:
        return several[0], None
    ids = tuple(mail.id for mail in several)
    newest = max(several, key=lambda mail: (*_version(mail), sum(m.id in mail.parents for m in several)))
    others = [mail for mail in several if mail is not newest]
    counter = f"{newest.subject.number}/{newest.subject.total}"
    if all(_version(mail) < _version(newest) and mail.id in newest.parents for mail in others):
        text = (
            f"{name}: took “{newest.subject.text}” <{newest.id}> instead of "
            f"“{others[-1].subject.text}” <{others[-1].id}>, which it answers"
        )
        return newest, Problem(kind="partial-reroll", message=text, message_ids=ids)
    if all(mail.patch == newest.patch for mail in others):
        first = min(several, key=lambda mail: ("RESEND" in mail.subject.text.upper(), mail.id))
        text = f"{name}: patch {counter} was sent {len(several)} times with the same diff: took <{first.id}>"
        return first, Problem(kind="resent-patch", message=text, message_ids=ids)
    text = f"{name}: {len(several)} mails are patch {counter}"
    return several[0], Problem(kind="duplicate-number", message=text, blocking=True, message_ids=ids)


def _version(mail: Mail) -> tuple[int, int]:
    return mail.subject.version, mail.subject.minor


def unnumbered(mail: Mail, counted: Sequence[Mail], name: str) -> Problem:
    """A patch without a number among others that have one: left out, or a replacement that cannot be placed."""
    old = next((m for m in counted if m.id in mail.parents and m.subject.title == mail.subject.title), None)
    if old is None:
        text = f"{name}: “{mail.subject.text}” has no number: left out"
        return Problem(kind="stray-patch", message=text, message_ids=(mail.id,))
    text = (
        f"{name}: “{mail.subject.text}” <{mail.id}> seems to replace “{old.subject.text}” <{old.id}>, without a number"
    )
    return Problem(kind="partial-reroll", message=text, blocking=True, message_ids=(mail.id, old.id))


def troubles(patches: Iterable[Mail]) -> list[Problem]:
    """A Problem for each patch that `git am` would refuse, or would take for something else than was sent."""
    return [
        Problem(
            kind="truncated-patch" if mail.patch.cut else "mangled-patch",
            message=f"“{mail.subject.text}” <{mail.id}>: {mail.patch.trouble}",
            blocking=True,
            message_ids=(mail.id,),
        )
        for mail in patches
        if mail.patch.trouble
    ]

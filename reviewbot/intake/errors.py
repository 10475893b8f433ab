# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be wrong with mail."""

from reviewbot.model.errors import Blocked, InfraError, UsageError
from reviewbot.model.words import counted


class UnknownMessageId(UsageError):
    """The archive answered, and has no such mail."""

    def __init__(self, message_id: str, where: str) -> None:
        super().__init__(
            f"no mail <{message_id}> in {where}",
            hint="check the Message-ID and the archive; new mails may take some minutes to appear",
        )
        self.message_id, self.where = message_id, where


class ArchiveUnreachable(InfraError):
    """Nobody answered, or not with mail."""

    def __init__(self, archive: str, why: str) -> None:
        super().__init__(
            f"could not fetch mail from the archive {archive}: {why}",
            hint="set `archive:` in the site file to a reachable server, or pass the thread with --mbox FILE",
        )
        self.archive, self.why = archive, why


class NotAnMbox(UsageError):
    """The file has no mail in it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} is not an mbox: {why}", hint="use the output of `b4 mbox MESSAGE-ID`, or a t.mbox.gz")
        self.path, self.why = path, why


class NoPatches(UsageError):
    """There is mail, and no patch among it."""

    def __init__(self, top: str, count: int, *, diffs: int = 0, answer: bool = False, pull: bool = False) -> None:
        """diffs: how many are attached to that mail in a form that is no patch of git's. answer: it answers a mail, and
        what is attached to it was not looked at. pull: it asks to pull.
        """
        what, hint = f"there is no patch in the thread of <{top}> ({counted(count, 'mail')})", ""
        if pull:
            what = f"<{top}> does not say where to pull from"
            hint = "use the wording of `git request-pull`: “are available in the Git repository at:”, then URL and ref"
        elif diffs and answer:
            what = f"<{top}> replies to another mail: patches attached to a reply are not taken as a posting"
            hint = "save them, and pass the files with --mbox"
        elif diffs:
            files = "a diff is" if diffs == 1 else f"{diffs} diffs are"
            what = f"{files} attached to <{top}>, without the author and subject that a patch needs"
            hint = "commit them yourself, and pass the output of `git format-patch` with --mbox"
        super().__init__(what, hint=hint or "give the Message-ID of the cover letter or of a patch")
        self.top, self.count, self.diffs = top, count, diffs


class PatchworkUnreachable(InfraError):
    """Nobody answered, or not as Patchwork's REST API does."""

    def __init__(self, server: str, why: str) -> None:
        super().__init__(
            f"Patchwork at {server} did not respond: {why}",
            hint="give the Message-ID instead: Patchwork shows it on the patch's page",
        )
        self.server, self.why = server, why


class UnknownPatchworkItem(UsageError):
    """That Patchwork has nothing of this number."""

    def __init__(self, server: str, kind: str, number: int) -> None:
        super().__init__(f"Patchwork at {server} has no {kind}/{number}", hint="check the number, and the server")
        self.server, self.kind, self.number = server, kind, number


class SeveralPostings(UsageError):
    """The mailbox has more than one posting, and nobody said which."""

    def __init__(self, where: str, tops: tuple[tuple[str, str], ...]) -> None:
        named = "; ".join(f"{message_id} “{subject}”" for message_id, subject in tops[:4])
        more = f"; and {len(tops) - 4} more" if len(tops) > 4 else ""
        super().__init__(f"{where} holds {len(tops)} postings", hint=f"name one or more: {named}{more}")
        self.where, self.tops = where, tops


class NothingArrived(Blocked):
    """`--wait` is over, and there still is no patch."""

    def __init__(self, why: str, waited: float) -> None:
        super().__init__(
            f"still nothing to test after {waited / 60:.0f} minutes: {why}",
            hint="check the Message-ID, or use a longer --wait",
        )
        self.waited = waited

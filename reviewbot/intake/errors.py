# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be wrong with mail."""

from reviewbot.model.errors import InfraError, UsageError


class UnknownMessageId(UsageError):
    """The archive answered, and has no such mail."""

    def __init__(self, message_id: str, where: str) -> None:
        super().__init__(
            f"no mail <{message_id}> in {where}",
            hint="check the Message-ID; the archive may need some minutes after sending, or be the wrong one",
        )
        self.message_id, self.where = message_id, where


class ArchiveUnreachable(InfraError):
    """Nobody answered, or not with mail."""

    def __init__(self, archive: str, why: str) -> None:
        super().__init__(
            f"the archive {archive} gave no mail: {why}",
            hint="set `archive:` in the site file to a server you can reach, or give the thread with --mbox FILE",
        )
        self.archive, self.why = archive, why


class NotAnMbox(UsageError):
    """The file has no mail in it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} is not an mbox: {why}", hint="`b4 mbox MESSAGE-ID` or a t.mbox.gz gives one")
        self.path, self.why = path, why


class NoPatches(UsageError):
    """There is mail, and no patch among it."""

    def __init__(self, top: str, count: int) -> None:
        super().__init__(
            f"there is no patch in the thread of <{top}> ({count} mails)",
            hint="give the Message-ID of the cover letter or of a patch",
        )
        self.top, self.count = top, count

# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers of a suite that is not finished, kept as they come."""

from collections.abc import Mapping
from pathlib import Path

from reviewbot.host.files import copy_tree, remove_tree
from reviewbot.host.locks import locked
from reviewbot.model.lab import StepReply
from reviewbot.store import Store

EARLIER = "earlier"
"""As if a machine of this name had answered."""


class KeptAnswers:
    """`replies.jsonl`, and what each step left behind: an interrupted or killed call goes on where it stopped."""

    def __init__(self, store: Store, inputs: Mapping[str, str]) -> None:
        self.folder = store.scratch(f"partial/{store.key('leg', inputs)}")

    def load(self, logs: Path) -> dict[str, StepReply]:
        """All answers so far; a line that a crash cut short is left out. Copies their files into `logs`."""
        found: dict[str, StepReply] = {}
        try:
            lines = (self.folder / "replies.jsonl").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return found
        for line in lines:
            try:
                reply = StepReply.model_validate_json(line)
            except ValueError:
                continue
            files = (logs / EARLIER if reply.name.startswith("setup/") else logs) / reply.name
            found[reply.name] = reply.model_copy(update={"files": str(files)})
            if (self.folder / "files" / reply.name).is_dir():
                copy_tree(self.folder / "files" / reply.name, files)
        return found

    def add(self, reply: StepReply) -> None:
        """Safe from several threads. Raises OSError when the disk is full."""
        if reply.status == "lost":
            return  # the machine's fault until shown otherwise: ask again
        if reply.files and Path(reply.files).is_dir():
            copy_tree(Path(reply.files), self.folder / "files" / reply.name)
        with locked(self.folder / "lock"), (self.folder / "replies.jsonl").open("a") as file:
            file.write("\n" + reply.model_dump_json())  # a line of its own, whatever was left of the one before

    def forget(self) -> None:
        remove_tree(self.folder)

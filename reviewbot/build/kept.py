# SPDX-License-Identifier: GPL-2.0-or-later
"""An object folder that reviews share, and what was said of each object in it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reviewbot.build.warnings import Warnings
from reviewbot.host.files import remove_tree, write_atomic
from reviewbot.model.review import BuildWarning


class KeptObjects:
    """Objects and their warnings: kbuild does not tell a warning again of what it need not compile.

    The warnings lie in a JSON file beside the folder. When the two may differ (a build was killed, the folder was
    made for something else) both are thrown away. The caller holds a lock.
    """

    def __init__(self, folder: Path, inputs: Mapping[str, str]) -> None:
        self.folder, self.inputs = folder, dict(inputs)
        self._record = folder.with_name(f"{folder.name}.json")
        self.commit = ""
        """What was built last; empty: nothing yet."""
        self.warnings: dict[str, tuple[BuildWarning, ...]] = {}
        if not self._load():
            self.forget()

    def _load(self) -> bool:
        try:
            record: Any = json.loads(self._record.read_bytes())
            if not record["whole"] or record["inputs"] != self.inputs:
                return False
            self.commit = str(record["commit"])
            self.warnings = {
                name: tuple(BuildWarning.model_validate(warning) for warning in said)
                for name, said in record["warnings"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        return self.folder.is_dir()

    def forget(self) -> None:
        """Throw all away."""
        self.commit, self.warnings = "", {}
        remove_tree(self.folder)
        self.folder.mkdir(parents=True)

    @contextmanager
    def building(self) -> Iterator[None]:
        """Around a build and what is learned from its log. After an exception the next one to open it forgets all."""
        self._save(whole=False)
        yield
        self._save(whole=True)

    def learn(self, commit: str, said: Warnings) -> None:
        """`commit` was built, and these objects were compiled for it."""
        self.commit = commit
        self.warnings.update(said)

    def _save(self, *, whole: bool) -> None:
        warnings = {name: [w.model_dump() for w in said] for name, said in self.warnings.items()}
        record = {"whole": whole, "inputs": self.inputs, "commit": self.commit, "warnings": warnings if whole else {}}
        write_atomic(self._record, json.dumps(record))

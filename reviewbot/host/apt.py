# SPDX-License-Identifier: GPL-2.0-or-later
"""This machine's own apt configuration: which Debian archives it may use."""

import re
from dataclasses import dataclass
from pathlib import Path

from debian.deb822 import Deb822

from reviewbot.host.paths import config_dir
from reviewbot.model.errors import InfraError

_ETC = Path("/etc/apt")


@dataclass(frozen=True, slots=True)
class Stanza:
    """One entry of sources.list in the long (deb822) form."""

    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        return next((v for k, v in self.fields if k.lower() == name.lower()), "")

    def text(self, **changes: str) -> str:
        fields = {k: v for k, v in self.fields if k.lower() not in {c.lower() for c in changes}} | changes
        return "".join(f"{k}: {v}\n" for k, v in fields.items()) + "\n"


def parse_deb822(text: str) -> tuple[Stanza, ...]:
    """Stanzas of a `.sources` file; comments and disabled stanzas are left out."""
    found = (Stanza(tuple(block.items())) for block in Deb822.iter_paragraphs(text.splitlines(), use_apt_pkg=False))
    return tuple(stanza for stanza in found if stanza.get("URIs") and stanza.get("Enabled").lower() != "no")


def parse_one_line(text: str) -> tuple[Stanza, ...]:
    """Entries of a `.list` file."""
    pattern = re.compile(r"^deb(?:-src)?\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<rest>.*)$")
    found = []
    for line in text.splitlines():
        if match := pattern.match(line.strip()):
            fields = [("URIs", match["uri"]), ("Suites", match["suite"]), ("Components", match["rest"].split("#")[0])]
            for option in (match["options"] or "").split():
                name, _, value = option.partition("=")
                fields.append(({"signed-by": "Signed-By", "trusted": "Trusted"}.get(name.lower(), name), value))
            found.append(Stanza(tuple(fields)))
    return tuple(found)


def debian_sources() -> Path:
    """Which Debian archives to use instead of this machine's own; need not exist. For machines that are not Debian."""
    return config_dir() / "debian.sources"


def machine_stanzas() -> tuple[Stanza, ...]:
    """All entries of the user's `debian.sources`, or else of this machine's apt configuration."""
    if debian_sources().exists():
        return parse_deb822(debian_sources().read_text())
    found: list[Stanza] = []
    for path in sorted(_ETC.glob("sources.list.d/*.sources")):
        found += parse_deb822(path.read_text())
    for path in (_ETC / "sources.list", *sorted(_ETC.glob("sources.list.d/*.list"))):
        if path.exists():
            found += parse_one_line(path.read_text())
    return tuple(found)


def sources_for(suite: str, codename: str, stanzas: tuple[Stanza, ...]) -> str:
    """A `.sources` file for one suite. The machine's own release, named or empty, has its updates and security, too.

    Raises InfraError when the machine has no Debian archive configured.
    """
    own = [s for s in stanzas if any(name.split("-")[0] == codename for name in s.get("Suites").split())]
    if suite == codename:
        suite = ""
    if suite:
        main = next((s for s in own if codename in s.get("Suites").split()), None)
        own = [main] if main else []
    if not own:
        raise InfraError(f"no Debian archive for {codename} in {_ETC}", hint="reviewbot uses the machine's own mirrors")
    return "".join(s.text(Types="deb deb-src", **({"Suites": suite} if suite else {})) for s in own)


def codename(release: Path = Path("/etc/os-release")) -> str:
    """Debian release of the first archive in `debian.sources`, or else of this machine: `bookworm`.

    Raises InfraError when there is neither.
    """
    if debian_sources().exists():
        suites = [name for stanza in machine_stanzas() for name in stanza.get("Suites").split()]
        if not suites:
            raise InfraError(f"{debian_sources()} names no archive", hint="see `reviewbot docs site-file`")
        return suites[0].split("-")[0]
    words = dict(line.split("=", 1) for line in release.read_text().splitlines() if "=" in line)
    if words.get("ID", "").strip('"') != "debian" or "VERSION_CODENAME" not in words:
        raise InfraError("this machine is not Debian", hint=f"name a Debian archive in {debian_sources()}")
    return words["VERSION_CODENAME"].strip('"')

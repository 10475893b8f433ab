# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings and stack definitions, validated; an error names file, line and key.

Stacks ship as `stacks/*.yaml`. The site file (`--site`, else `$REVIEWBOT_SITE`, else `site.yaml` in the config folder)
belongs to one machine: archive, sources, accelerator.
"""

import difflib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import Field, PrivateAttr, ValidationError

from reviewbot.host.data import data_path
from reviewbot.host.limits import Limits, Rules, use_rules
from reviewbot.host.paths import named_site_file, site_file
from reviewbot.host.public import Reach
from reviewbot.host.sandbox import require
from reviewbot.host.walls import Waivable as Wall
from reviewbot.model.base import Model
from reviewbot.model.deaths import ServerRules
from reviewbot.model.errors import ConfigError, UsageError
from reviewbot.model.fleet import EngineSettings
from reviewbot.model.splats import SplatRules
from reviewbot.model.stack import Candidate, Source, Stack
from reviewbot.model.variants import Variant, Variants, joined

DEFAULT_ARCHIVE = "https://lore.kernel.org/all"

SPLATS = "qemu/splats.yaml"
SERVERS = "qemu/servers.yaml"
VARIANTS = "kconfigs/variants.yaml"

SOAK = 30
"""Seconds. Without SOAK_DURATION fstests' soak tests do a fixed amount of work, four minutes and more of it; hours of
it are for who looks for a rare crash, half a minute is enough to see whether a patch breaks what they do."""

M = TypeVar("M", bound=Model)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads ten times as fast, where it is there


class Machine(Model):
    """Limits of the virtual machines on this host."""

    memory: int = Field(default=2048, ge=512)
    """MiB per machine."""
    cpus: int = Field(default=2, ge=1)
    vms: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Machines at once; auto: one per core, as far as memory allows."""
    hours: float = Field(default=24.0, gt=0)
    """All tests of a run take at most so long; what is left then has no result."""
    scratch_gib: int = Field(default=4, ge=1)
    """Size of the test and of the scratch disk each, GiB (sparse)."""
    saved: Literal["auto", "never"] = "auto"
    """auto: machines begin from a saved one where that was measured to be faster; never: each is booted."""


class AttestationPolicy(Model):
    """What a mail must show of its author before anything is built."""

    require: Literal["none", "dkim", "patatt", "any"] = "none"
    """any: either one."""
    keyring: str = ""
    """Folder of patatt keys (`ed25519/<domain>/<local>/<selector>`, …)."""


class Network(Model):
    """Where mails, and URLs that name a series, may lead this machine."""

    private: tuple[str, ...] = ()
    """Hosts (`git.lan`, `git.lan:8080`) and networks (`10.1.0.0/16`) that are allowed although they are not public."""
    pull_mib: int = Field(default=2048, ge=1)
    """What one fetch of a request to pull may bring, MiB."""
    pull_seconds: float = Field(default=900.0, gt=0)
    """How long one fetch of it may last."""

    @property
    def reach(self) -> Reach:
        return Reach(self.private)


class Reviewer(Model):
    """An external reviewer: a command that speaks b4's check protocol."""

    name: str
    path: str
    """A program, or a folder that is visible as /reviewer and holds it."""
    command: tuple[str, ...] = ()
    """Words to run in the sandbox; empty: the program at `path` by itself."""
    scope: Literal["patch", "series"] = "patch"
    timeout: float = Field(default=120.0, gt=0)
    """Seconds per call."""


class Reports(Model):
    """What reports say beside the results."""

    url: str = Field(default="", pattern=r"^$|^https?://\S+$")
    """Where others can see a run's folder; `{run}` stands for its id. Empty: nowhere, and no report links to it."""

    def of(self, run: str) -> str:
        """The link to one run, or nothing."""
        return self.url.replace("{run}", run)


class Box(Model):
    """What code of a tree may use in sum, and what a machine's boxes may lack."""

    memory_gib: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Of all processes of a box; auto: 8, or three quarters of the machine's if that is less."""
    processes: int = Field(default=Limits().processes, ge=64)
    """And threads, at once."""
    disk_gib: float = Field(default=Limits().disk / (1 << 30), gt=0)
    """In the folders that a box may write."""
    files: int = Field(default=Limits().inodes, ge=1000)
    """In these folders."""
    output_mib: float = Field(default=Limits().output / (1 << 20), gt=0)
    """That a command may say; much less of it is kept."""
    tmp_gib: float = Field(default=Limits().room / (1 << 30), gt=0)
    """Size of its /tmp and /dev/shm, each; they are memory."""
    layers: Literal["auto", "copied"] = "auto"
    """How a posting works above what is kept of base; auto: with overlayfs, if it can be mounted."""
    without: tuple[Wall, ...] = ()
    """Walls that this machine cannot give and that its runs do without: docs/security.md."""

    @property
    def rules(self) -> Rules:
        memory = 0 if self.memory_gib == "auto" else int(self.memory_gib * (1 << 30))
        limits = Limits(
            memory=memory,
            processes=self.processes,
            disk=int(self.disk_gib * (1 << 30)),
            inodes=self.files,
            output=int(self.output_mib * (1 << 20)),
            room=int(self.tmp_gib * (1 << 30)),
        )
        return Rules(limits, frozenset(self.without), overlay=self.layers == "auto")


class Site(Model):
    """One machine's settings; every key is optional."""

    archive: str = DEFAULT_ARCHIVE
    """Base URL of the public-inbox to fetch threads from."""
    accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    components: dict[str, Source] = {}
    """Replaces the source of a component of the stack."""
    debian_suite: str = "bookworm"
    """Suite of the build root and the guest."""
    machine: Machine = Machine()
    attestation: AttestationPolicy = AttestationPolicy()
    box: Box = Box()
    network: Network = Network()
    soak: int = Field(default=SOAK, ge=1)
    """Seconds that fstests' soak tests run: their SOAK_DURATION."""
    reviewers: tuple[Reviewer, ...] = ()
    reports: Reports = Reports()
    history: str = Field(default="", pattern=r"^$|^[a-z0-9+]+://")
    """URL of the database of outcomes, `postgresql+psycopg://ci@db/reviewbot`; empty: a file of this user."""
    quarantine: str = ""
    """File of tests whose failures decide nothing for now: docs/verdict.md."""
    bases: dict[str, tuple[Candidate, ...]] = {}
    """Component -> bases to try before those of the stack."""
    fleet: dict[str, EngineSettings] = {}
    """Name -> other hosts that run shards: docs/fleet.md."""
    fetched_gib: float = Field(default=20.0, gt=0)
    """What `run-shard` keeps of kernels and disks that it fetched from a store."""
    _file: Path | None = PrivateAttr(default=None)
    """Where it was read from, for errors that are found later; None: these are the defaults."""

    @property
    def file(self) -> Path | None:
        return self._file


def load_site(path: Path | None = None) -> Site:
    """The site file, or the defaults when there is none. A file that the user named must exist.

    Named is what `path` (--site) or else $REVIEWBOT_SITE says. Paths in the file that are not absolute are below the
    file's own folder. Raises ConfigError.
    """
    chosen = path or site_file()
    if not chosen.exists():
        if path is not None:
            raise ConfigError(str(path), 0, "", "no such file", hint="named by --site")
        if named_site_file():
            raise ConfigError(str(chosen), 0, "", "no such file", hint="$REVIEWBOT_SITE names it; unset it to use none")
        return Site()
    site = load_yaml(chosen, Site)
    folder = chosen.absolute().parent
    site = site.model_copy(
        update={
            "components": {name: _anchored(source, folder) for name, source in site.components.items()},
            "bases": {name: tuple(_anchored_base(one, folder) for one in some) for name, some in site.bases.items()},
            "reviewers": tuple(one.model_copy(update={"path": _below(folder, one.path)}) for one in site.reviewers),
            "quarantine": _below(folder, site.quarantine),
            "attestation": site.attestation.model_copy(update={"keyring": _below(folder, site.attestation.keyring)}),
        }
    )
    site._file = chosen
    return site


def _anchored(source: Source, folder: Path) -> Source:
    """A source whose paths do not depend on where reviewbot was started."""
    local = source.provider in ("git", "tarball") and source.url and not _is_url(source.url)
    url = _below(folder, source.url) if local else source.url
    return source.model_copy(update={"path": _below(folder, source.path), "url": url})


def _anchored_base(candidate: Candidate, folder: Path) -> Candidate:
    if candidate.source is None:
        return candidate
    return candidate.model_copy(update={"source": _anchored(candidate.source, folder)})


def _is_url(text: str) -> bool:
    """`https://…`, or ssh's `host:path`, which git takes for one when no slash comes before the colon."""
    return "://" in text or ":" in text.partition("/")[0]


def _below(folder: Path, path: str) -> str:
    return str(folder / Path(path).expanduser()) if path else ""


def use_boxes(site: Site) -> None:
    """The site's word on boxes holds for this process from now on. Raises WallMissing."""
    use_rules(site.box.rules)
    require()


def load_stack(name: str = "fuse", site: Site | None = None) -> Stack:
    """A shipped stack with the site's sources and bases put in. Raises ConfigError."""
    try:
        path = data_path(f"stacks/{name}.yaml")
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in data_path("stacks").glob("*.yaml")))
        raise ConfigError(f"stacks/{name}.yaml", 0, "", "no such stack", hint=f"known: {known}") from None
    stack = load_yaml(path, Stack)
    overrides = site.components if site else {}
    bases = site.bases if site else {}
    known_names = {component.name for component in stack.components}
    for key, named in (("components", overrides), ("bases", bases)):
        for unknown in sorted(set(named) - known_names):
            file = site._file if site and site._file else None
            near = difflib.get_close_matches(unknown, known_names, n=1)
            raise ConfigError(
                str(file or "site file"),
                line_of(file, (key, unknown)) if file else 0,
                f"{key}.{unknown}",
                f"stack {stack.name} has no component {unknown}",
                hint=f"did you mean {near[0]}?" if near else f"components: {', '.join(sorted(known_names))}",
            )
    components = tuple(
        component.model_copy(
            update={
                "candidates": (*bases.get(component.name, ()), *component.candidates),
                **({"source": overrides[component.name], "fallback": None} if component.name in overrides else {}),
            }
        )
        for component in stack.components
    )
    return stack.model_copy(update={"components": components})


@functools.cache
def load_splats(path: Path | None = None) -> SplatRules:
    """What counts as a crash of the kernel: the shipped `qemu/splats.yaml`, or another file.

    Raises ConfigError; without these rules nothing can be judged, so nothing is run.
    """
    try:
        return load_yaml(path or data_path(SPLATS), SplatRules)
    except FileNotFoundError as error:
        raise ConfigError(SPLATS, 0, "", "no such file", hint="the installation is not complete") from error


@functools.cache
def load_servers(path: Path | None = None) -> ServerRules:
    """What servers say when something is wrong: the shipped `qemu/servers.yaml`, or another. Raises ConfigError."""
    try:
        return load_yaml(path or data_path(SERVERS), ServerRules)
    except FileNotFoundError as error:
        raise ConfigError(SERVERS, 0, "", "no such file", hint="the installation is not complete") from error


def load_variants(path: Path | None = None) -> Variants:
    """All variants of the stack: the shipped `kconfigs/variants.yaml`, or another file.

    Raises ConfigError, also for a fragment that is not there.
    """
    chosen = path or data_path(VARIANTS)
    found = load_yaml(chosen, Variants)
    for place, variant in enumerate(found.variants):
        for fragment in variant.fragments:
            if not (chosen.parent / "variants" / f"{fragment}.config").is_file():
                line = line_of(chosen, ("variants", place, "fragments"))
                raise ConfigError(str(chosen), line, "fragments", f"there is no variants/{fragment}.config")
    return found


def choose_variant(names: Sequence[str]) -> Variant:
    """The named variants in one build; none: the plain stack. Raises ConfigError, UsageError."""
    known = load_variants()
    chosen = []
    for name in dict.fromkeys(names):
        if (variant := known.get(name)) is None:
            raise UsageError(f"no variant {name}", hint=f"variants: {', '.join(v.name for v in known.variants)}")
        chosen.append(variant)
    for variant in chosen:
        if clash := [name for name in variant.conflicts if name in names]:
            raise UsageError(f"{variant.name} and {clash[0]} cannot be in one build", hint="run them separately")
    return joined(chosen)


def load_yaml(path: Path, model: type[M]) -> M:
    """Read a YAML file into a model. Raises ConfigError that names file, line and key."""
    try:
        text = path.read_text()
        node, data = _parsed(text)
    except OSError as error:
        raise ConfigError(str(path), 0, "", error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), 0, "", f"not UTF-8 at byte {error.start}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigError(str(path), mark.line + 1 if mark else 0, "", str(problem)) from error
    if not isinstance(data, dict) and data is not None:
        raise ConfigError(str(path), 1, "", "must be a mapping of keys to values")
    try:
        return model.model_validate(data or {})
    except ValidationError as error:
        first = error.errors()[0]
        place = first["loc"]
        key = ".".join(str(part) for part in place)
        problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise ConfigError(str(path), _line_of(node, place), key, problem) from error


def _parsed(text: str) -> tuple[Any, Any]:
    """The document's node, which knows its lines, and its value. Raises yaml.YAMLError."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.YAMLError:
        yaml.compose(text, Loader=yaml.SafeLoader)  # it names the place of the fault better
        raise
    return node, loader.construct_document(node) if node is not None else None


def line_of(path: Path, place: tuple[int | str, ...]) -> int:
    """Line (1-based) of a key in a YAML file that `load_yaml` has read."""
    return _line_of(yaml.compose(path.read_text(), Loader=_Loader), place)


def _line_of(node: Any, place: tuple[int | str, ...]) -> int:
    """Line (1-based) of the deepest node of `place` that is in the document."""
    line = 1 if node is None else node.start_mark.line + 1
    for step in place:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == step), None)
            if pair is None:
                return int(line)
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
    return int(line)

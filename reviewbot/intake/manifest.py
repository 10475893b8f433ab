# SPDX-License-Identifier: GPL-2.0-or-later
"""The manifest: a file that lists the parts of a posting that is not one thread. A file in, values out."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from reviewbot.config import line_of, load_yaml
from reviewbot.intake.names import NotAName, parse_name
from reviewbot.intake.split import Piece
from reviewbot.model.base import Model
from reviewbot.model.errors import ConfigError
from reviewbot.model.posting import Part, Pull
from reviewbot.model.stack import Stack

_KINDS = ("message_id", "mbox", "pull", "git", "tag")
_RANGE = re.compile(r"[^\s.:+-][^\s:]*?\.\.[^\s.:+-][^\s:]*")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_SCP = re.compile(r"[^/:]+@?[^/:]+:(?!/)")


class ManifestPull(Model):
    """What a request to pull says."""

    url: str
    ref: str
    base: str = ""
    """Commit or ref that the part starts after."""


class ManifestRange(Model):
    """Commits of a repository that may be the user's own."""

    url: str
    range: str
    """`BASE..TIP`."""


class ManifestTag(Model):
    """A tag, as in a repository whose branches are rebased and whose tags are not."""

    name: str
    url: str = ""
    """Empty: the component's own source."""
    base: str = ""


class ManifestPart(Model):
    """One entry: exactly one of `message_id`, `mbox`, `pull`, `git`, `tag` (`mbox` may have a `message_id`)."""

    component: str = ""
    """May be left out where the paths of mailed patches tell."""
    title: str = ""
    rfc: bool | None = None
    """Overrides what the mails say."""
    message_id: str = ""
    mbox: str = ""
    pull: ManifestPull | None = None
    git: ManifestRange | None = None
    tag: ManifestTag | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [kind for kind in _KINDS if getattr(self, kind)]
        if given not in (["message_id", "mbox"], *([kind] for kind in _KINDS)):
            said = f"this one has {' and '.join(given)}" if given else "this one has none"
            raise PydanticCustomError(
                "one_of", "a part has one of {kinds}; {said}", {"kinds": ", ".join(_KINDS), "said": said}
            )
        if not self.component and not (self.message_id or self.mbox):
            raise PydanticCustomError("component", "commits do not say where they belong: give a component", {})
        return self


class Manifest(Model):
    """The whole file."""

    title: str = ""
    author: str = ""
    base: dict[str, str] = {}
    """Component -> ref, as `--base COMPONENT=REF`, which overrides it."""
    parts: tuple[ManifestPart, ...] = Field(min_length=1)
    """Parts of one component are applied in this order."""


def load_manifest(path: Path, stack: Stack) -> Manifest:
    """Raises ConfigError that names file, line and key."""
    manifest = load_yaml(path, Manifest)
    known = [component.name for component in stack.components]
    for name in manifest.base:
        if name not in known:
            raise _wrong(path, ("base", name), f"no such component (there are {', '.join(known)})")
    for place, entry in enumerate(manifest.parts):
        at: tuple[int | str, ...] = ("parts", place)
        if entry.component and entry.component not in known:
            raise _wrong(path, (*at, "component"), f"no component {entry.component} (there are {', '.join(known)})")
        if entry.message_id:
            try:
                parse_name(entry.message_id)
            except NotAName as error:
                raise _wrong(path, (*at, "message_id"), str(error)) from error
        for key, text, problem in _refused(entry, stack):
            if problem:
                raise _wrong(path, (*at, *key), f"{text!r} {problem}")
    return manifest


def _refused(entry: ManifestPart, stack: Stack) -> list[tuple[tuple[str, ...], str, str]]:
    """Key, value and what is wrong with it, for everything that git would be given."""
    if entry.pull:
        return [
            (("pull", "url"), entry.pull.url, _url_problem(entry.pull.url)),
            (("pull", "ref"), entry.pull.ref, _ref_problem(entry.pull.ref)),
            (("pull", "base"), entry.pull.base, _ref_problem(entry.pull.base or "x")),
        ]
    if entry.git:
        good = _RANGE.fullmatch(entry.git.range) and "..." not in entry.git.range
        return [
            (("git", "url"), entry.git.url, _url_problem(entry.git.url)),
            (("git", "range"), entry.git.range, "" if good else "is not BASE..TIP"),
        ]
    if entry.tag:
        source = stack.component(entry.component).source
        own = "" if source.provider == "git" else f"needs a url: {entry.component} does not come from git here"
        return [
            (("tag", "url"), entry.tag.url, _url_problem(entry.tag.url) if entry.tag.url else own),
            (("tag", "name"), entry.tag.name, _ref_problem(entry.tag.name)),
            (("tag", "base"), entry.tag.base, _ref_problem(entry.tag.base or "x")),
        ]
    return []


def _url_problem(url: str) -> str:
    if not url or url.startswith("-") or re.search(r"[\x00-\x1f]", url):
        return "is neither a URL nor a path"
    return "is not a URL: git's remote helpers are not run" if re.match(r"[A-Za-z0-9+.-]+::", url) else ""


def _ref_problem(ref: str) -> str:
    return (
        ""
        if re.fullmatch(r"[^\s:+-][^\s:]*", ref) and ".." not in ref
        else "is not the name of a commit, branch or tag"
    )


def _wrong(path: Path, place: tuple[int | str, ...], problem: str) -> ConfigError:
    return ConfigError(str(path), line_of(path, place), ".".join(map(str, place)), problem)


def pull_piece(entry: ManifestPart, path: Path, stack: Stack) -> Piece:
    """A part that is fetched with git."""
    pull = _pull(entry, path, stack)
    title = entry.title or (entry.git.range if entry.git else pull.ref.removeprefix("refs/tags/"))
    part = Part(
        component=entry.component,
        counter="1/1",
        rfc=bool(entry.rfc),
        subject=title,
        cover=None,
        pull=pull,
        routed_by="the manifest says so",
        patches=(),
    )
    return Piece(top="", subject=title, author="", source=pull.url, parts=(part,), problems=(), mails={})


def _pull(entry: ManifestPart, path: Path, stack: Stack) -> Pull:
    if entry.pull:
        return Pull(url=_place(entry.pull.url, path), ref=entry.pull.ref, base=entry.pull.base)
    if entry.git:
        base, _, tip = entry.git.range.partition("..")
        full = tip if _COMMIT.fullmatch(tip) else ""
        return Pull(url=_place(entry.git.url, path), ref=tip, base=base, tip=full)
    assert entry.tag is not None
    url = _place(entry.tag.url, path) if entry.tag.url else stack.component(entry.component).source.url
    return Pull(
        url=url, ref=f"refs/tags/{entry.tag.name.removeprefix('refs/').removeprefix('tags/')}", base=entry.tag.base
    )


def _place(url: str, path: Path) -> str:
    """A path is meant from the manifest's folder on."""
    if "://" in url or _SCP.match(url):
        return url
    return str((path.absolute().parent / Path(url).expanduser()).resolve())


def as_said(piece: Piece, entry: ManifestPart) -> Piece:
    """The piece with what the manifest overrides."""
    change: dict[str, object] = {}
    if entry.rfc is not None:
        change["rfc"] = entry.rfc
    if entry.title and len(piece.parts) == 1:
        change["subject"] = entry.title
    if not change:
        return piece
    parts = tuple(part.model_copy(update=change) for part in piece.parts)
    return replace(piece, parts=parts)

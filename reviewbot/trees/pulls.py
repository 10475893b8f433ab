# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts that are fetched with git: what a request names, checked, and put on a head."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from reviewbot.config import Network
from reviewbot.host.git import find_commit, git
from reviewbot.host.process import CommandFailed, CommandTimeout, Completed, no_room
from reviewbot.host.public import NotPublic, git_place
from reviewbot.model.errors import DiskFull
from reviewbot.model.posting import Pull
from reviewbot.trees.errors import PullGone, SourceUnreachable, UnusablePull, telling
from reviewbot.trees.sources import Origin

_HEX = re.compile(r"[0-9a-f]{7,40}")
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@/-]*")
_GONE = re.compile(r"couldn't find remote ref|not our ref|no such remote ref|invalid refspec", re.IGNORECASE)
_PROTOCOLS = "https:http:git:ssh"
_SSH = "ssh -oBatchMode=yes -oConnectTimeout=20"
_TIMEOUT = 900.0
_DEPTHS = (64, 1024, 16384)
"""Commits fetched at first, and then, until the start of the range is among them."""
_MOST = 1000
"""Commits of one pull."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A part that was fetched."""

    pull: Pull
    tip: str
    base: str
    """Commit that the part starts after."""
    base_name: str
    commits: tuple[str, ...]
    """base..tip, oldest first."""


def pull_part(component: str, pull: Pull, repository: Path, origin: Origin, network: Network) -> Pulled:
    """Fetch what a pull names and find where it starts. Raises PullGone, UnusablePull, SourceUnreachable."""
    source = _Remote(component, pull, repository, network)
    tip = source.fetch(pull.ref, 1, keep="tip")
    if tip is None:
        raise PullGone(component, pull.url, pull.ref, wanted=pull.tip, found="the repository has no such ref")
    if pull.tip and not _same(repository, tip, source.kept("tip"), pull.tip):
        raise PullGone(component, pull.url, pull.ref, wanted=pull.tip, found=f"the ref is now at {tip[:12]}")
    named = _named_base(source, pull) if pull.base else None
    base = named or origin.default
    start = _start(repository, base, tip)
    for depth in _DEPTHS:
        if start or (named is None and origin.source.provider != "git"):
            break
        source.fetch(pull.ref, depth, keep="tip")
        if named is None:
            _deepen_default(origin, repository, depth)
        elif pull.base and not _HEX.fullmatch(pull.base):
            source.fetch(pull.base, depth, keep="base")
        start = _start(repository, base, tip)
    if start is None:
        raise UnusablePull(
            component,
            pull.url,
            pull.ref,
            f"it has no history in common with {pull.base or origin.default_name}",
            hint="name the commit it starts after as base: in a manifest",
        )
    commits = git(repository, "rev-list", "--reverse", "--topo-order", f"{start}..{tip}").output.split()
    if len(commits) > _MOST:
        raise UnusablePull(
            component,
            pull.url,
            pull.ref,
            f"it has {len(commits)} commits that {pull.base or origin.default_name} lacks; the limit is {_MOST}",
            hint="name the commit it starts after as base: in a manifest",
        )
    name = pull.base[:40] if named == start else f"where it branches off {pull.base or origin.default_name}"
    return Pulled(pull, tip, start, name, tuple(commits))


def is_ancestor(repository: Path, old: str, new: str) -> bool:
    return git(repository, "merge-base", "--is-ancestor", old, new, check=False).status == 0


def merge_in(repository: Path, commits: tuple[str, ...]) -> str:
    """The first merge commit among these, or an empty string."""
    said = git(repository, "rev-list", "--no-walk", "--merges", "--stdin", stdin="\n".join(commits).encode()).output
    merges = set(said.split())
    return next((commit for commit in commits if commit in merges), "")


@dataclass(frozen=True, slots=True)
class _Remote:
    component: str
    pull: Pull
    repository: Path
    network: Network

    def kept(self, keep: str) -> str:
        return f"refs/reviewbot/pull/{self.component}-{keep}"

    def fetch(self, ref: str, depth: int, *, keep: str) -> str | None:
        """Commit of a ref; None when the other side has none such."""
        if not _REF.fullmatch(ref) or ".." in ref:
            return None
        url = self._url()
        local = Path(self.pull.url).exists()
        allowed = f"{_PROTOCOLS}:file" if local else _PROTOCOLS
        env = {"GIT_ALLOW_PROTOCOL": allowed, "GIT_SSH_COMMAND": _SSH}
        limit = () if Path(self.pull.url).is_file() else (f"--depth={depth}",)
        settings: tuple[str, ...] = ()
        if self.pull.message_id:  # a stranger's word
            url, settings, more = self._checked(url)
            env |= more
        words = [word for setting in ("fetch.unpackLimit=1", *settings) for word in ("-c", setting)]
        most = self.network.pull_mib << 20 if self.pull.message_id else 0
        try:
            done = git(
                self.repository,
                *words,
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-recurse-submodules",
                *limit,
                "--",
                url,
                f"+{ref}:{self.kept(keep)}",
                env=env,
                check=False,
                timeout=self.network.pull_seconds,
                largest=most,
            )
        except CommandTimeout as error:
            raise SourceUnreachable(self.component, f"git {self.pull.url}", str(error)) from error
        if most and done.status and self._was_cut_off(most):
            raise UnusablePull(
                self.component,
                self.pull.url,
                self.pull.ref,
                f"it has more than {self.network.pull_mib} MiB",
                hint="`network: {pull_mib: …}` in the site file",
            )
        if done.status == 0:
            return find_commit(self.repository, self.kept(keep))
        self._refused(done)
        return None

    def _was_cut_off(self, most: int) -> bool:
        """Whether a pack reached its limit; what came of it is removed."""
        left = list((self.repository / "objects" / "pack").glob("tmp_pack_*"))
        reached = any(file.stat().st_size >= most for file in left)
        for file in left if reached else ():
            file.unlink(missing_ok=True)
        return reached

    def _checked(self, url: str) -> tuple[str, tuple[str, ...], dict[str, str]]:
        try:
            url, settings, env = git_place(url, self.network.reach)
        except NotPublic as error:
            raise UnusablePull(self.component, self.pull.url, self.pull.ref, str(error), hint=error.hint) from error
        except OSError as error:
            words = error.strerror or str(error)
            raise SourceUnreachable(self.component, f"git {self.pull.url}", words) from error
        return url, settings, dict(env)

    def _refused(self, done: Completed) -> None:
        if no_room(self.repository, said=done.errors):
            raise DiskFull(str(self.repository))
        if _GONE.search(done.errors):
            return
        failed = CommandFailed(done.argv, done.status, done.errors)
        why = telling(done.errors) or str(failed)
        raise SourceUnreachable(self.component, f"git {self.pull.url}", why, said=done.errors) from failed

    def _url(self) -> str:
        url = self.pull.url
        scheme = urlsplit(url).scheme
        local = Path(url).exists() or scheme == "file"
        if local and self.pull.message_id:
            raise UnusablePull(self.component, url, self.pull.ref, "a mail cannot name a folder of this machine")
        if local:
            path = Path(url.removeprefix("file://"))
            return str(path.resolve()) if path.is_file() else path.resolve().as_uri()
        scp = re.fullmatch(r"[A-Za-z0-9][\w.-]*(@[\w.-]+)?:[^:].*", url) and "://" not in url
        if url.startswith("-") or "::" in url or not (scheme in _PROTOCOLS.split(":") or scp):
            raise UnusablePull(
                self.component, url, self.pull.ref, "only https, http, git and ssh URLs are accepted for pulls"
            )
        return url


def _same(repository: Path, commit: str, ref: str, wanted: str) -> bool:
    """Whether a ref is at `wanted`: the commit, or the tag object that names it."""
    tagged = git(repository, "rev-parse", ref).output.strip()
    return bool(_HEX.fullmatch(wanted)) and (commit.startswith(wanted) or tagged.startswith(wanted))


def _named_base(source: _Remote, pull: Pull) -> str:
    known = find_commit(source.repository, pull.base) if re.fullmatch(r"[0-9a-f]{12,40}", pull.base) else None
    base = known or source.fetch(pull.base, 1, keep="base")
    if base is None and _HEX.fullmatch(pull.base):
        for depth in _DEPTHS:  # an abbreviated id cannot be asked for; it is found once the history is here
            source.fetch(pull.ref, depth, keep="tip")
            if base := find_commit(source.repository, pull.base):
                break
    if base is None:
        raise PullGone(source.component, pull.url, pull.ref, wanted=pull.base, found="its base was not found")
    return base


def _start(repository: Path, base: str, tip: str) -> str | None:
    """The commit where a branch leaves `base`; None while the history that is here does not tell."""
    done = git(repository, "merge-base", base, tip, check=False)
    return done.output.strip() if done.status == 0 else None


def _deepen_default(origin: Origin, repository: Path, depth: int) -> None:
    source = origin.source
    if source.provider == "git" and not Path(source.url).is_file():
        url = Path(source.url).resolve().as_uri() if Path(source.url).is_dir() else source.url
        git(
            repository,
            "fetch",
            "--quiet",
            "--no-tags",
            f"--depth={depth}",
            url,
            f"+{source.ref or 'HEAD'}",
            check=False,
            timeout=_TIMEOUT,
        )

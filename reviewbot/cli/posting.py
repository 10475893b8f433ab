# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot post`: tell others what came of a run; `reviewbot outbox`: what was told, and what waits."""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import click

from reviewbot import intake, post, report
from reviewbot.cli import values
from reviewbot.cli.group import reviewbot
from reviewbot.cli.reports import report_of
from reviewbot.config import load_site
from reviewbot.host.paths import data_dir, our_folders
from reviewbot.host.version import installable
from reviewbot.model.checks import PatchChecks
from reviewbot.model.errors import InfraError, UsageError
from reviewbot.model.plan import Plan
from reviewbot.model.verdict import ExitStatus
from reviewbot.model.words import flat
from reviewbot.post import Item, Outbox, Sender, State
from reviewbot.store import RunFolder, Runs

_B4 = "b4"
CHANNELS = (post.MAIL, post.PATCHWORK, post.KCIDB, post.GITHUB, _B4)


def _outbox() -> Outbox:
    return Outbox(post.outbox_file(data_dir()))


def mails_of(folder: RunFolder) -> Mapping[str, bytes]:
    """The mails that a run was made from, by Message-ID; none where they are gone."""
    path = folder.path / "mails.mbox"
    return intake.read_mbox(path).by_id() if path.exists() else {}


@reviewbot.command(
    "post", short_help="Post results by mail or to Patchwork, KCIDB, GitHub or b4; a dry run unless --send."
)
@click.argument("run", type=values.Run(), default="latest")
@click.option("--to", "channel", type=click.Choice(CHANNELS), required=True, help="Where to post.")
@click.option("--send", is_flag=True, help="Send it; without this, only show what would be sent.")
@click.option("--repository", default="", metavar="OWNER/NAME", help="GitHub: where.")
@click.option("--sha", default="", metavar="COMMIT", help="GitHub: the commit that gets a check.")
@click.option("--component", default="", help="GitHub: component whose files the annotations refer to.")
@click.option("--issue", type=click.IntRange(min=1), help="GitHub: the pull request or issue that gets a comment.")
@click.option("--url", default="", help="GitHub: public URL of the run [default: from the site file].")
@click.option("--mail-to", multiple=True, help="Recipient instead of the author; may be repeated.")
@click.option("--cc", multiple=True, help="Copy; may be repeated.")
@click.option("--policy", type=click.Path(path_type=Path), help="Rules per list and author, instead of posting.yaml.")
@click.option(
    "--tree", type=click.Path(path_type=Path), help="For b4: the repository of `b4 review` [the current one]."
)
@click.option("--uncompared", is_flag=True, help="With --send: also send failures that were not compared with base.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")
def post_command(
    run: str,
    channel: str,
    send: bool,
    repository: str,
    sha: str,
    component: str,
    issue: int | None,
    url: str,
    mail_to: tuple[str, ...],
    cc: tuple[str, ...],
    policy: Path | None,
    tree: Path | None,
    uncompared: bool,
    as_json: bool,
) -> int:
    """Answer in the thread with the replies of RUN, or give its results to Patchwork, KernelCI's database, GitHub, or
    `b4 review`.

    Mail is sent with git's own `sendemail.*` settings, as `git send-email` does. posting.yaml sets the recipients and
    the time; by default findings go to the author, and clean results are not sent. Nothing is sent without --send, and
    nothing is sent twice. Infrastructure failures are never mailed; failures that were not compared with base are
    mailed only with --uncompared. The Patchwork instance is taken from b4's settings (b4.pw-url, b4.pw-project,
    b4.pw-key), that of KCIDB from KCIDB_REST=https://TOKEN@HOST/submit. GitHub gets a check of --sha or a comment on
    --issue, using the token in GITHUB_TOKEN; a later run replaces the comment.
    """
    folder = Runs(data_dir() / "runs").find(run)
    if channel != post.MAIL and (mail_to or cc or policy or uncompared):
        raise UsageError(f"--mail-to, --cc, --policy and --uncompared do not apply to {channel}")
    if channel != _B4 and tree:
        raise UsageError(f"--tree does not apply to {channel}")
    if channel == post.GITHUB:
        target = post.github_target(repository, sha, component, issue or 0)
        made = report.github_report(_of_strangers(folder, url))
        if not send:
            click.echo(made.model_dump_json(indent=1))
            return ExitStatus.PASS
        return _send(_outbox(), (post.put_github(made, target, post.github_settings().api, _outbox()),), as_json)
    if repository or sha or component or issue or url:
        raise UsageError(f"--repository, --sha, --component, --issue and --url do not apply to {channel}")
    if channel != post.MAIL:
        if channel == _B4:
            return _into_b4(folder, tree or Path.cwd(), send)
        return _submit(folder, channel, send, as_json)
    plan = folder.path / "plan.json"
    found = post.mail(
        folder.path,
        Sender(_outbox(), post.load_policy(policy)),
        send=send,
        to=mail_to,
        cc=cc,
        uncompared=uncompared,
        posting=Plan.model_validate_json(plan.read_bytes()).posting if plan.exists() else None,
        mails=mails_of(folder),
    )
    if as_json:
        click.echo(json.dumps([{**one.model_dump(mode="json"), "sent": one.sent} for one in found], indent=1))
    else:
        click.echo("\n\n".join(one.describe() for one in found))
    return ExitStatus.PASS


def _of_strangers(folder: RunFolder, url: str) -> report.Record:
    """The facts of a run whose folder may come from a machine of others: what leads a reader somewhere is ours.

    Raises UsageError.
    """
    if url and not re.fullmatch(r"https?://[!-;=?-~]+", url):
        raise UsageError(f"not a URL: {flat(url)}", hint="--url must begin with https://")
    record = report.load_for_others(folder.path, our_folders())
    if record.run != folder.id:
        raise UsageError(f"{folder.id} holds run {flat(record.run)[:60]}", hint="the folder is damaged, or was renamed")
    ours = {"url": url or load_site().reports.of(folder.id), "install": installable()}
    return record.model_copy(update=ours)


def _into_b4(folder: RunFolder, repository: Path, send: bool) -> int:
    """Texts for `b4 review`; without `send` only shown."""
    record = report.load(folder.path)
    ids = {patch.message_id for part in record.posting.parts for patch in part.patches}
    branch = post.review_branch(repository, ids)
    texts = post.texts_for(branch, report.series_text(record), partial(report.patch_text, record))
    if send:
        post.write_texts(branch, texts)
        click.echo(f"wrote {len(texts)} files to {branch.folder}; `b4 review tui` imports them")
    else:
        click.echo("\n".join(f"==> {name} <==\n{text}" for name, text in texts.items()), nl=False)
    return ExitStatus.PASS


def _submit(folder: RunFolder, channel: str, send: bool, as_json: bool) -> int:
    """The results themselves, for a server; without `send` only shown."""
    file = {post.PATCHWORK: "checks.json", post.KCIDB: "kcidb.json"}[channel]
    content, outbox, topic = report_of(folder, file), _outbox(), _topic(folder)
    if channel == post.KCIDB:
        if not send:
            click.echo(content, nl=False)
            return ExitStatus.PASS
        items: tuple[Item, ...] = (post.put_submission(content, folder.id, outbox, post.kcidb_settings().url, topic),)
    else:
        checks = PatchChecks.model_validate_json(content)
        if not send:
            rows = [f"{one.state}  {one.context}  {one.message_id}  {one.description}" for one in checks.checks]
            click.echo(content if as_json else "\n".join(map(flat, rows)) or "this run has no results for its patches")
            return ExitStatus.PASS
        items = post.put_checks(checks, post.patchwork_settings().url, outbox, topic)
    return _send(outbox, items, as_json)


def _topic(folder: RunFolder) -> str:
    plan = folder.path / "plan.json"
    return Plan.model_validate_json(plan.read_bytes()).posting.top if plan.exists() else ""


_ACTIONS = ("list", "show", "hold", "release", "drop", "send")


@reviewbot.command("outbox", short_help="List what was sent to others, and what is pending.")
@click.argument("action", type=click.Choice(_ACTIONS), default="list", metavar="[ACTION]")
@click.argument("numbers", type=click.INT, nargs=-1, metavar="[NUMBER]...")
@click.option("--all", "everything", is_flag=True, help="Also list finished items: sent, refused, dropped.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")
def outbox_command(action: str, numbers: tuple[int, ...], everything: bool, as_json: bool) -> int:
    """List what was sent to others, and what is pending.

    \b
    reviewbot outbox             what is held, pending, or may have arrived
    reviewbot outbox --all       finished items, too
    reviewbot outbox show 12     show the item itself
    reviewbot outbox hold 12     hold it until it is released
    reviewbot outbox release 12  send it, whatever the policy says
    reviewbot outbox drop 12     never send it
    reviewbot outbox send        send what is due

    An item is due when its embargo is over or its next retry has come, within the `per_day` limit of posting.yaml.
    `sending` means that a process is sending it, or was killed while it did: it may have arrived, and is not resent
    automatically.
    """
    outbox = _outbox()
    if action in ("list", "send") and numbers:
        raise UsageError(f"`outbox {action}` takes no numbers", hint="`outbox release NUMBER` sends a single one")
    if action not in ("list", "send") and not numbers:
        raise UsageError(f"`outbox {action}`: which item?", hint="`reviewbot outbox` lists their numbers")
    match action:
        case "list":
            states = tuple(State) if everything else (State.HELD, State.PENDING, State.SENDING)
            _list(outbox.all(*states), as_json)
        case "show":
            for number in numbers:
                click.echo(outbox.get(number).payload.decode(errors="replace"), nl=False)
        case "hold" | "drop":
            move = outbox.hold if action == "hold" else outbox.drop
            _list(tuple(move(number) for number in numbers), as_json)
        case "release":
            return _send(outbox, tuple(outbox.release(number) for number in numbers), as_json, released=True)
        case _:
            return _send(outbox, outbox.due(), as_json)
    return ExitStatus.PASS


def _carriers(outbox: Outbox, released: bool) -> Callable[[Item], Item]:
    """What sends a thing, by its channel. Settings are read once for all things of a channel."""
    known = dict[str, Callable[[Item], str]]()

    def carry(item: Item) -> Item:
        if item.channel == post.MAIL:
            return post.send_again(item, Sender(outbox, post.load_policy()), released=released)
        if item.channel not in known:
            known[item.channel] = _carrier(item.channel)
        return outbox.send(item.id, known[item.channel])

    return carry


def _carrier(channel: str) -> Callable[[Item], str]:
    match channel:
        case post.PATCHWORK:
            return post.Patchwork(post.patchwork_settings()).carry
        case post.GITHUB:
            return post.Github(post.github_settings()).carry
        case post.KCIDB:
            return post.Kcidb(post.kcidb_settings()).carry
        case _:
            raise UsageError(f"this version does not know channel {channel}")


def _send(outbox: Outbox, items: tuple[Item, ...], as_json: bool, *, released: bool = False) -> int:
    """Each by itself: one that is refused keeps no other back. After one that is put off the others of its channel
    wait, too: their server has no time, or is not there. released: somebody said so, whatever the policy says.
    """
    carry, done, failed, busy = _carriers(outbox, released), list[Item](), False, set[str]()
    for item in items:
        if item.channel in busy:
            done.append(item)
            continue
        try:
            done.append(carry(item))
        except (InfraError, UsageError, OSError) as error:
            failed = True
            click.echo(f"reviewbot: {item.id}: {flat(str(error))}", err=True)
            done.append(outbox.get(item.id))
        if done[-1].state is State.PENDING and done[-1].tries:
            busy.add(item.channel)
        failed = failed or done[-1].state is State.REFUSED or bool(busy)
    _list(tuple(done), as_json)
    return ExitStatus.INFRA if failed else ExitStatus.PASS


def _list(items: tuple[Item, ...], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_plain(item) for item in items], indent=1, ensure_ascii=False))
        return
    for item in items:
        wait = f", not before {item.not_before:%Y-%m-%d %H:%M} UTC" if item.not_before else ""
        why = f": {item.why}" if item.why else ""
        about, to = flat(" ".join(item.about.split())), flat(item.goes_to)
        click.echo(f"{item.id}  {item.state}{wait}{flat(why)}  {item.channel} to {to}  {about}  ({flat(item.run)})")


def _plain(item: Item) -> dict[str, object]:
    times = {
        name: when.isoformat() if when else None
        for name, when in (("not_before", item.not_before), ("changed", item.changed))
    }
    names = ("id", "state", "why", "channel", "goes_to", "about", "run", "topic", "tries")
    return {**{name: getattr(item, name) for name in names}, **times}

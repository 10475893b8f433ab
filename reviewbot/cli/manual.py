# SPDX-License-Identifier: GPL-2.0-or-later
"""Manual pages, made from the commands. In: click commands. Out: man(7) text. Pure."""

import re
from collections.abc import Iterator, Sequence

import click

_EXITS = (
    ("0", "PASS; REVIEWED: reviewed, not tested"),
    (
        "1",
        "the series is at fault: REGRESSION, DOES-NOT-APPLY, BUILD-FAILS, REVIEW-ERRORS; or tests failed that could "
        "not be compared with base: FAILURES",
    ),
    ("2", "usage or configuration"), ("3", "BLOCKED: the posting is incomplete, or a prerequisite is missing"),
    ("4", "INFRA: this machine, the network, a mirror, or a bug in reviewbot; says nothing about the series"),
    ("130", "interrupted"),
)  # fmt: skip
_VARIABLES = (
    ("REVIEWBOT_SITE", "The site file, unless --site names one. It must exist."),
    ("REVIEWBOT_CACHE", "Cache folder, instead of ~/.cache/reviewbot."),
    ("REVIEWBOT_DATA", "Folder of the runs, instead of ~/.local/share/reviewbot."),
    ("XDG_CONFIG_HOME, XDG_CACHE_HOME, XDG_DATA_HOME", "Parents of these folders if the variables above are unset."),
    ("NO_COLOR", "If set, no colours are shown."),
    ("CI, GITHUB_ACTIONS", "If set, progress is at most one line a minute."),
)
_FILES = (
    ("~/.config/reviewbot/site.yaml", "Sources, archive, machines of this site; see `reviewbot docs site-file`."),
    ("~/.local/share/reviewbot/runs", "One folder per run; see `reviewbot docs results`."),
    ("~/.cache/reviewbot", "Clones, build roots, artifacts; see `reviewbot docs making-room`."),
)


def page(command: click.Command, names: Sequence[str], version: str) -> str:
    """One page. names: `("reviewbot", "plan")`. version: of reviewbot."""
    context = _context(command, names)
    title, whole = "-".join(names), " ".join(names)
    lines = [
        f'.TH "{_escaped(title.upper())}" "1" "" "{_escaped(version)}" "reviewbot"',
        ".nh",
        ".ad l",  # words and commands stay in one piece
        ".SH NAME",
        f"{_escaped(title)} \\- {_escaped(_purpose(command))}",
        ".SH SYNOPSIS",
        f".B {_escaped(whole)}",
        " ".join(map(_escaped, command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *_text(command.help or ""),
    ]
    options = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
    lines += [".SH OPTIONS", *_listed(options)] if options else []
    if isinstance(command, click.Group):
        lines += [".SH COMMANDS", *_listed([(f"{whole} {n}", _purpose(c)) for n, c in _commands(command, context)])]
        lines += [".SH EXIT STATUS", *_listed(_EXITS), ".SH ENVIRONMENT", *_listed(_VARIABLES)]
        lines += [".SH FILES", *_listed(_FILES)]
        also = [f"{title}-{name}" for name, _ in _commands(command, context)]
    else:
        also = ["-".join(names[:-1])]
    lines += [".SH SEE ALSO", ",\n".join(f"\\fB{_escaped(name)}\\fR(1)" for name in also)]
    return "\n".join(lines) + "\n"


def pages(program: click.Group, version: str) -> dict[str, str]:
    """File name -> page, for the program and each of its commands."""
    name = program.name or "reviewbot"
    found = {f"{name}.1": page(program, (name,), version)}
    for word, command in _commands(program, _context(program, (name,))):
        found[f"{name}-{word}.1"] = page(command, (name, word), version)
    return found


def _context(command: click.Command, names: Sequence[str]) -> click.Context:
    return click.Context(command, info_name=" ".join(names), help_option_names=["-h", "--help"])


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            yield name, command


def _purpose(command: click.Command) -> str:
    """One line, without the full stop."""
    return command.get_short_help_str(limit=200).rstrip(".")


def _text(text: str) -> Iterator[str]:
    """Paragraphs, and after a line of `\\b` those whose lines stay as they are."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        lines = [line.rstrip() for line in paragraph.split("\n")]
        if number:
            yield ".PP"
        if lines[0].strip() == "\b":
            yield from (".nf", *map(_escaped, lines[1:]), ".fi")
        else:
            yield from (_escaped(line.strip()) for line in lines)


def _listed(entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, words in entries:
        yield from (".TP", f"\\fB{_escaped(name)}\\fR", _escaped(" ".join(words.split())))


def _escaped(text: str) -> str:
    """Nothing of it is a request or an escape of roff; a hyphen stays one, so that options can be copied."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    plain = "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in plain)
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain

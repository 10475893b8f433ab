# SPDX-License-Identifier: GPL-2.0-or-later
"""Documents, manual pages and workflows, as they come along with the program."""

import json
import re
import shutil
import subprocess

import click
import pytest
from click.testing import CliRunner

from reviewbot.cli.group import reviewbot
from reviewbot.cli.manual import page, pages
from reviewbot.host.version import version
from tests.conftest import ROOT
from tests.user import User


def names() -> list[str]:
    return reviewbot.list_commands(click.Context(reviewbot))


def laid_out(text: str, *options: str) -> "subprocess.CompletedProcess[str]":
    command = ["groff", "-man", *options]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", ["", *names()])
def test_help_fits_into_80_columns(name: str) -> None:
    done = CliRunner().invoke(reviewbot, [*filter(None, [name]), "--help"], terminal_width=80)
    assert done.exit_code == 0 and [line for line in done.output.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(
    "words", [["workflows", "copy", "/proc/x"], ["man", "--output", "/proc/x"], ["site", "/proc/x"]]
)
def test_a_folder_that_cannot_be_made_is_the_users_mistake(user: User, words: list[str]) -> None:
    assert "/proc/x: No such file or directory" in user.refuses(2, "name a writable folder", *words)


def test_a_mistyped_command_is_told_what_it_is_like(user: User) -> None:
    assert "did you mean `reviewbot apply-and-test`?" in user.refuses(2, "no command aply-and-test", "aply-and-test")


def test_there_is_a_page_for_each_command() -> None:
    assert set(pages(reviewbot, "1")) == {"reviewbot.1", *(f"reviewbot-{name}.1" for name in names())}


@pytest.mark.skipif(not shutil.which("groff"), reason="groff, which says what is wrong with a page, is not installed")
def test_the_pages_are_sound() -> None:
    for name, text in pages(reviewbot, version()).items():
        done = laid_out(text, "-Tutf8", "-wall", "-rLL=100n")
        complaints = [line for line in done.stderr.splitlines() if "adjust" not in line and "break" not in line]
        assert (done.returncode, complaints) == (0, []), name


@pytest.mark.skipif(not shutil.which("groff"), reason="groff, which lays out a page, is not installed")
def test_what_a_command_takes_and_what_its_help_says_are_on_its_page() -> None:
    @click.command("odd", short_help="Do it.")
    @click.option("--in-place", help="'Quoted', `ticked`, back\\slashed - and\n wrapped.")
    @click.argument("file")
    def odd(in_place: str, file: str) -> None:
        """First.

        .TH is no request here; nor is 'this.

        \b
        reviewbot odd   --in-place
          .indented
        """

    text = page(odd, ("reviewbot", "odd"), "1")
    done = laid_out(text, "-Tascii", "-P-cbou", "-rLL=90n")
    for words in ("reviewbot-odd - Do it", "reviewbot odd [OPTIONS] FILE", ".TH is no request here; nor is 'this.",
                  "reviewbot odd   --in-place", ".indented", "--in-place TEXT",
                  "'Quoted', `ticked`, back\\slashed - and wrapped."):  # fmt: skip
        assert words in done.stdout, done.stdout


def test_a_page_is_printed_for_man_and_all_are_written_where_one_wants_them(user: User) -> None:
    assert user.call("man", "plan").stdout.startswith('.TH "REVIEWBOT\\-PLAN" "1"')
    assert user.call("man").stdout.startswith('.TH "REVIEWBOT" "1"')
    user.refuses(2, "no command paln", "man", "paln")
    assert user.call("man", "--output", "man1").returncode == 0
    assert len(list((user.folder / "man1").glob("reviewbot*.1"))) == len(names()) + 1


def test_documents_are_listed_with_their_titles_and_shown(user: User) -> None:
    listed = user.call("docs").stdout.splitlines()
    assert len(listed) == len(list((ROOT / "docs").glob("*.md")))
    assert all(len(re.split(r"  +", line)) == 2 for line in listed)
    for name in ("site-file", "docs/site-file.md"):
        assert user.call("docs", name).stdout == (ROOT / "docs" / "site-file.md").read_text()
    assert user.call("docs", "--path", "site-file").stdout.strip() == str(ROOT / "docs" / "site-file.md")
    user.refuses(2, "no document sitefile", "docs", "sitefile")


def test_the_index_names_every_document_once() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    linked = re.findall(r"\]\(([a-z-]+\.md)\)", index)
    assert sorted(linked) == sorted(path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md")


def test_every_link_between_documents_leads_somewhere() -> None:
    for path in (*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)):
            place, _, part = link.partition("#")
            if "://" in place:
                continue
            target = path.parent / place if place else path
            assert target.exists(), f"{path.name} links to {link}"
            if part and target.suffix == ".md":
                headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
                assert part in [_anchor(heading) for heading in headings], f"{path.name} links to {link}"


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_workflows_are_listed_and_copied(user: User) -> None:
    shipped = {path.name: path.read_bytes() for path in (ROOT / "workflows").glob("*.yml")}
    assert {row["name"] for row in json.loads(user.call("workflows", "--json").stdout)} == set(shipped)
    assert all(name in user.call("workflows").stdout for name in shipped)
    assert user.call("workflows", "copy", ".github/workflows").returncode == 0
    copied = user.folder / ".github" / "workflows"
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == shipped
    assert user.call("workflows", "copy", ".github/workflows").returncode == 0  # they are the same


def test_a_workflow_that_was_changed_is_not_overwritten_and_then_none_is_copied(user: User) -> None:
    folder = user.folder / "flows"
    folder.mkdir()
    (folder / "review.yml").write_text("mine")
    user.refuses(2, "review.yml exists and differs — --force", "workflows", "copy", "flows")
    assert [path.name for path in folder.iterdir()] == ["review.yml"]
    user.refuses(2, "no workflow reviews.yml", "workflows", "copy", "flows", "reviews.yml")
    assert user.call("workflows", "copy", "flows", "review.yml", "--force").returncode == 0
    assert (folder / "review.yml").read_bytes() == (ROOT / "workflows" / "review.yml").read_bytes()


def test_the_version_names_the_commit_of_a_checkout(user: User) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(rf"reviewbot \d+\.\d+\.\d+ \({head[:12]}\+?\)\n", user.call("--version").stdout)

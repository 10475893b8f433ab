# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests to pull: what is read out of them, what is refused, and the parts they become."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.intake import Mailbag, NoPatches, split
from reviewbot.intake.pull import parse_pull, why_refused
from reviewbot.model.posting import Posting, Pull
from tests.mails import PATHS, diff, mail

BASE, TIP = "4b68cb2878d5976b7045af613aaed43df5f2b206", "e7a25f132866607711789424623976accda88e82"
URL = "https://git.kernel.org/pub/scm/linux/kernel/git/djwong/e2fsprogs.git"
STAT = """ fuse4fs/Makefile.in          |  193 +
 misc/{fuse2fs.c => fuse.c}   |   12 +-
 .../very/deep/place/in/file.c |    1 +
 debian/control => doc/control |    2 +-
 lib/support/logo.png         |  Bin 0 -> 12 bytes
 4 files changed, 207 insertions(+), 1 deletion(-)
 create mode 100644 fuse4fs/fuse4fs.c
"""


def request(where: str = f"{URL} tags/fuse4fs-fork_2026-04-09", stat: str = STAT) -> str:
    return f"""Hi Ted,

Please pull this branch.  As usual, I did a test-merge with the main upstream branch.

The following changes since commit {BASE}:

  fuse2fs: the one before (2026-04-08 17:00:00 -0700)

are available in the Git repository at:

  {where}

for you to fetch changes up to {TIP}:

  fuse4fs: create a low level fuse server (2026-04-09 10:00:00 -0700)

----------------------------------------------------------------
fuse4fs: fork a low level fuse server [2/2]

With a bit of luck, this should all go splendidly.

----------------------------------------------------------------
Darrick J. Wong (2):
      fuse2fs: separate things
      fuse4fs: create a low level fuse server

{stat}"""


def of(mails: list[bytes], name: str | None = None) -> Posting:
    return split(Mailbag("test", tuple(mails)), name, load_stack()).posting


def test_what_git_request_pull_writes() -> None:
    found = parse_pull(request())
    assert found is not None
    assert (found.url, found.ref, found.base, found.tip) == (URL, "tags/fuse4fs-fork_2026-04-09", BASE, TIP)
    assert found.refused == ""
    assert found.paths == (
        "fuse4fs/Makefile.in",
        "misc/fuse2fs.c",
        "misc/fuse.c",
        "debian/control",
        "doc/control",
        "lib/support/logo.png",
        "fuse4fs/fuse4fs.c",
    )


def test_a_request_without_a_ref_is_for_its_tip() -> None:
    found = of([mail("p@x", "[GIT PULL] fuse4fs", request(URL))])
    assert found.parts[0].pull == Pull(url=URL, ref=TIP, base=BASE, tip=TIP, message_id="p@x")


@pytest.mark.parametrize("blank", [" ", "   ", "\t", "\u00a0", " " * 80])
def test_blanks_on_empty_lines_and_at_the_ends_of_lines_say_nothing(blank: str) -> None:
    assert parse_pull(request().replace("\n", f"{blank}\n")) == parse_pull(request())


@pytest.mark.parametrize(
    ("plain", "wrapped"),
    [
        ("since commit ", "since commit\n"), ("The following changes since ", "The following changes\nsince "),
        ("up to ", "up to\n"), ("available in the Git ", "available in the Git\n"), ("  https", "https"),
        (".git tags/", ".git\ntags/"), (".git tags/", ".git\n  tags/"), ("at:\n\n  ", "at: "),
    ],
)  # fmt: skip
def test_a_mailer_may_wrap_it_anywhere(plain: str, wrapped: str) -> None:
    assert plain in request()
    assert parse_pull(request().replace(plain, wrapped)) == parse_pull(request())


def test_words_below_the_url_are_no_ref() -> None:
    for words in ("for you to fetch", "Thanks, and so on", "----------------"):
        found = parse_pull(f"are available in the Git repository at:\n\n  {URL}\n{words}\n")
        assert found is not None and (found.url, found.ref) == (URL, "")


@pytest.mark.parametrize("text", ["", "Please pull.", "kernel git tree:\nhttps://x.org/linux.git/log/?h=fuse-fixes\n"])
def test_words_that_are_no_request(text: str) -> None:
    assert parse_pull(text) is None


@pytest.mark.parametrize(
    ("url", "ref"),
    [
        (URL, "tags/x_2026-04-09"), ("git://git.kernel.org/pub/scm/x.git", "for-linus"),
        ("http://127.0.0.1:8080/x.git", ""), ("https://github.com/a/b", "v1.0+rc@1"), (URL, TIP), (URL, "refs/heads/a"),
    ],
)  # fmt: skip
def test_where_may_be_fetched_from(url: str, ref: str) -> None:
    assert why_refused(url, ref) == ""


@pytest.mark.parametrize(
    ("url", "ref"),
    [
        ("--upload-pack=touch /tmp/x", ""), ("-x", ""), ("ext::sh -c id", ""), ("ext::https://x/y", "a"),
        ("file:///etc", ""), ("/srv/git/linux.git", "master"), ("../linux", ""), ("git@github.com:a/b.git", "master"),
        ("ssh://git@host/x.git", "master"), ("ftp://host/x.git", ""), ("https://", ""), ("https:///x", ""),
        ("https://host", ""), ("https://-oProxyCommand=id/x", ""), ("https://u:p@host/x.git", ""), ("https://[x", ""),
        ("https://host:x/y", ""), ("https://h\\x/y", ""), (URL, "--upload-pack=id"), (URL, "-f"), (URL, "a..b"),
        (URL, "+a:refs/heads/master"), (URL, "a b"), (URL, "a:b"), (URL, "^a"), (URL, "a@{1}"), (URL, "*"),
        ("http::https://host/x", ""), ("https://ho st/x", ""),
    ],
)  # fmt: skip
def test_what_a_mail_may_not_make_git_do(url: str, ref: str) -> None:
    why = why_refused(url, ref)
    assert why and "\n" not in why


@given(st.text(max_size=60), st.text(max_size=40))
def test_whatever_is_taken_is_harmless(url: str, ref: str) -> None:
    for place in (url, f"https://{url}", f"git://host/{url}"):
        if not why_refused(place, ref):
            assert place.startswith(("https://", "http://", "git://"))
            assert (
                not ref.startswith("-") and ":" not in ref and not any(c.isspace() or ord(c) < 32 for c in place + ref)
            )


@given(st.text(alphabet="The following changes ailbnGtrpoy:\n  -hts/.0123abc|+{}=>", max_size=300))
def test_no_text_makes_it_raise(text: str) -> None:
    parse_pull(text)
    found = parse_pull(request(stat=text))
    assert found is not None and all(path for path in found.paths)


def test_a_request_is_a_part_and_routed_by_its_diffstat() -> None:
    (part,) = of([mail("p@x", "[GIT PULL] libfuse: not at all", request(), to="nobody@x")]).parts
    assert (part.component, part.patches, part.cover, part.counter) == ("e2fsprogs", (), "p@x", "1/1")
    assert part.pull == Pull(url=URL, ref="tags/fuse4fs-fork_2026-04-09", base=BASE, tip=TIP, message_id="p@x")


def bomb(count: int = 9) -> list[bytes]:
    mails = [mail("top@x", "[PULLBOMB v2 1.48] fuse2fs: new features, new server")]
    for n in range(1, count + 1):
        mails.append(
            mail(f"{n}@x", f"[GIT PULL {n}/{count}] step {n}", request(f"{URL} tags/step-{n}"), parent="top@x")
        )
    return mails


def test_a_letter_above_requests() -> None:
    found = of(bomb(), "top@x")
    assert [part.counter for part in found.parts] == [f"{n}/9" for n in range(1, 10)]
    assert [part.pull.ref for part in found.parts if part.pull] == [f"tags/step-{n}" for n in range(1, 10)]
    assert found.problems == () and found.top == "top@x"
    assert of(bomb(), "5@x").parts == found.parts


def test_a_request_that_is_missing_blocks() -> None:
    mails = [m for m in bomb() if b"Message-ID: <4@x>" not in m]
    (problem,) = of(mails).problems
    assert problem.blocking and "1 of 9 parts is missing: 4" in problem.message


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("ext::sh -c id", "refused-pull"),
        ("git@github.com:a/b.git master", "refused-pull"),
        (f"{URL} -x", "refused-pull"),
    ],
)
def test_a_request_that_may_not_be_followed_blocks(where: str, kind: str) -> None:
    (problem,) = of([mail("p@x", "[GIT PULL] x", request(where))]).problems
    assert (problem.kind, problem.blocking) == (kind, True)


def test_a_request_that_does_not_say_where_blocks() -> None:
    mails = [*bomb(2), mail("3@x", "[GIT PULL 2/2] x", "Please pull.\n", parent="top@x")]
    assert ("no-pull", True) in [(p.kind, p.blocking) for p in of(mails).problems]


def test_a_request_whose_paths_tell_nothing_goes_by_its_list() -> None:
    text = request("https://git.example.org/a/things.git for-next", " README | 2 +-\n 1 file changed\n")
    (part,) = of([mail("p@x", "[GIT PULL] x", text, to="linux-ext4@vger.kernel.org")]).parts
    assert part.component == "e2fsprogs"
    (problem,) = of([mail("p@x", "[GIT PULL] x", text, to="nobody@x")]).problems
    assert problem.blocking and problem.kind == "no-component"


def test_patches_win_over_the_repository_that_their_cover_names() -> None:
    text = "kernel git tree:\nhttps://git.kernel.org/x/xfs-linux.git/log/?h=fuse\n\n" + request(stat="")
    mails = [
        mail("c@x", "[PATCHSET v7 1/1] libfuse: x", text),
        mail("1@x", "[PATCH 1/1] libfuse: do it", diff(PATHS["libfuse"]), parent="c@x"),
    ]
    found = of(mails)
    (part,) = found.parts
    assert (part.component, part.pull, len(part.patches)) == ("libfuse", None, 1)
    assert [(p.kind, p.blocking) for p in found.problems] == [("pull-ignored", False)]


def test_a_cover_whose_patches_were_not_mailed_is_pulled() -> None:
    (part,) = of([mail("c@x", "[PATCHSET v7] fuse2fs: many things", request())]).parts
    assert part.pull is not None and part.component == "e2fsprogs"


def test_a_cover_that_counts_patches_waits_for_them() -> None:
    mails = [
        mail("t@x", "[PATCHBOMB] x"),
        mail("c@x", "[PATCH 0/3] fuse2fs: x", request(), parent="t@x"),
        mail("d@x", "[PATCHSET 1/1] x", parent="t@x"),
        mail("e@x", "[PATCH] fuse: x", diff("fs/fuse/dev.c"), parent="d@x"),
    ]
    assert ("missing-patches", True) in [(p.kind, p.blocking) for p in of(mails).problems]


def test_an_answer_that_quotes_a_request_is_none() -> None:
    quoted = "".join(f"> {line}\n" for line in request().splitlines())
    answer = mail(
        "a@x", "Re: [GIT PULL 1/2] step 1", quoted + request("https://evil/x a"), parent="1@x", author="B <b@y>"
    )
    assert [part.pull.url for part in of([*bomb(2), answer]).parts if part.pull] == [URL, URL]


def mailed(counter: str = "1/1") -> list[bytes]:
    return [
        mail("top@x", "[PATCHBOMB v5] containers"),
        mail("c@x", f"[PATCHSET v5 {counter}] fuse4fs: serve", parent="top@x"),
        mail("1@x", "[PATCH 1/1] fuse4fs: do it", diff(PATHS["e2fsprogs"]), parent="c@x"),
    ]


def test_a_request_that_answers_the_cover_of_mailed_patches_asks_for_these() -> None:
    found = of([*mailed(), mail("p@x", "[GIT PULL v5.1] fuse4fs: serve", request(), parent="c@x")])
    assert [(part.pull, len(part.patches)) for part in found.parts] == [(None, 1)]
    assert [(p.kind, p.blocking) for p in found.problems] == [("pull-ignored", False)]


def test_a_request_beside_mailed_patches_of_the_component_blocks() -> None:
    found = of([*mailed(), mail("p@x", "[GIT PULL] fuse2fs: other things", request(), parent="top@x")])
    assert [(p.kind, p.blocking) for p in found.problems] == [("duplicate-part", True)]
    assert "mailed patches" in found.problems[0].message and "--part-only" in found.problems[0].message


def test_requests_and_patches_may_be_parts_of_one_set() -> None:
    found = of([*mailed("2/2"), mail("p@x", "[GIT PULL v5 1/2] fuse2fs: first this", request(), parent="top@x")])
    assert [(part.counter, bool(part.pull)) for part in found.parts] == [("1/2", True), ("2/2", False)]
    assert found.problems == ()


@pytest.mark.parametrize(
    ("page", "url", "ref"),
    [
        (
            "https://git.example.org/fs/e2fsprogs.git/log/?h=fuse4fs",
            "https://git.example.org/fs/e2fsprogs.git",
            "fuse4fs",
        ),
        ("https://git.example.org/fs/e2fsprogs.git/tree/misc?h=x", "https://git.example.org/fs/e2fsprogs.git", "x"),
        ("https://github.com/ada/libfuse/tree/topic/iomap", "https://github.com/ada/libfuse", "topic/iomap"),
        ("https://gitlab.com/ada/libfuse/-/commits/iomap", "https://gitlab.com/ada/libfuse", "iomap"),
        ("https://github.com/ada/libfuse/tree/iomap tags/v2", "https://github.com/ada/libfuse", "tags/v2"),
    ],
)
def test_the_page_of_a_branch_stands_for_its_repository(page: str, url: str, ref: str) -> None:
    found = parse_pull(request(page))
    assert found and (found.url, found.ref, found.refused) == (url, ref, "")


def test_a_request_in_other_words_is_told_what_is_missing() -> None:
    with pytest.raises(NoPatches, match="<p@x> does not say where to pull from"):
        of([mail("p@x", "[GIT PULL] fuse: things", "Please pull https://git.example.org/fuse.git, branch next.\n")])

# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything people paste to name a series."""

import hashlib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.intake import MessageId, NotAName, PatchworkItem, parse_name
from reviewbot.intake.names import PatchworkKind
from reviewbot.model.errors import UsageError

LETTER = "20260223224617.GA2390314@frogsfrogsfrogs"
STGIT = "177188733084.3935219.10400570136529869673.stgit@frogsfrogsfrogs"


@pytest.mark.parametrize("message_id", [LETTER, STGIT, "a/b+c=d%20e@host.example", "CAJfpeg=x_y@mail.gmail.com"])
@pytest.mark.parametrize(
    "form",
    [
        "{id}", " <{id}> ", "id:{id}", "id:<{id}>", "rfc822msgid:{id}", "mid:{id}", "Message-ID: <{id}>", '"{id}"',
        "https://lore.kernel.org/all/{url}/", "https://lore.kernel.org/linux-fsdevel/{url}",
        "https://lore.kernel.org/r/{url}", "http://lore.kernel.org/r/{url}/", "lore.kernel.org/r/{url}",
        "https://lore.kernel.org/linux-fsdevel/{url}/raw", "https://lore.kernel.org/all/{url}/T/#u",
        "https://lore.kernel.org/all/{url}/t.mbox.gz", "https://lore.kernel.org/all/{url}/t/#r",
        "https://lore.kernel.org/all/{url}/T/#t", "https://lore.kernel.org/all/{url}/#related",
        "Link: https://patch.msgid.link/{url}", "https://patch.msgid.link/{url}", "<https://msgid.link/{url}>",
        "https://patchwork.kernel.org/project/linux-fsdevel/patch/{url}/",
        "https://patchwork.ozlabs.org/project/linux-ext4/cover/{url}/mbox/",
        "https://patchwork.ozlabs.org/project/linux-ext4/patch/{url}/",
    ],
)  # fmt: skip
def test_a_mail(form: str, message_id: str) -> None:
    assert parse_name(form.format(id=message_id, url=quote(message_id, safe="@+=.,-_~"))) == MessageId(message_id)


def test_a_fully_percent_encoded_id() -> None:
    assert parse_name(f"https://lore.kernel.org/all/{quote(STGIT, safe='')}/") == MessageId(STGIT)
    assert parse_name(quote(LETTER, safe="")) == MessageId(LETTER)


def test_a_place_on_a_threads_page_names_another_mail() -> None:
    anchor = hashlib.sha1(STGIT.encode()).hexdigest()
    assert parse_name(f"https://lore.kernel.org/all/{LETTER}/T/#m{anchor}") == MessageId(LETTER, anchor)
    assert parse_name(f"https://lore.kernel.org/all/{LETTER}/T/#mxyz") == MessageId(LETTER)


def test_another_public_inbox_is_remembered() -> None:
    assert parse_name(f"https://yhbt.net/lore/all/{LETTER}/T/#u") == MessageId(LETTER, "", "https://yhbt.net/lore/all")
    assert parse_name(f"http://127.0.0.1:8080/demo/{LETTER}/") == MessageId(LETTER, "", "http://127.0.0.1:8080/demo")


KERNEL = "https://patchwork.kernel.org"


@pytest.mark.parametrize(
    ("url", "kind", "number"),
    [
        (f"{KERNEL}/patch/12345/", "patches", 12345),
        (f"{KERNEL}/patch/12345/mbox/", "patches", 12345),
        (f"{KERNEL}/cover/77", "covers", 77),
        (f"{KERNEL}/project/linux-fsdevel/list/?series=98765", "series", 98765),
        (f"{KERNEL}/project/linux-fsdevel/list/?series=98765&state=*", "series", 98765),
        (f"{KERNEL}/series/98765/mbox/", "series", 98765),
        (f"{KERNEL}/api/1.2/series/98765/", "series", 98765),
        (f"{KERNEL}/api/patches/5/", "patches", 5),
        (f"{KERNEL}/api/1.3/covers/6/", "covers", 6),
    ],
)
def test_a_number_of_patchwork(url: str, kind: PatchworkKind, number: int) -> None:
    assert parse_name(url) == PatchworkItem(KERNEL, kind, number)


def test_a_patchwork_below_a_folder() -> None:
    assert parse_name("http://host:8000/pw/patch/5/") == PatchworkItem("http://host:8000/pw", "patches", 5)


@pytest.mark.parametrize(
    "text",
    [
        "", "fuse", "<>", "@", "a@", "@b", "a b@c", "a@b c@d", "https://lore.kernel.org/all/", "https://", "http://[x",
        "https://lore.kernel.org/all/?q=fuse", f"{KERNEL}/project/linux-fsdevel/list/", f"{KERNEL}/bundle/me/mine/",
        f"{KERNEL}/project/linux-fsdevel/list/?series=abc", f"file:///tmp/{LETTER}", f"ext::sh -c {LETTER}",
        "--help@x y", f"{KERNEL}/patch/{'9' * 30}/",
    ],
)  # fmt: skip
def test_what_names_no_mail(text: str) -> None:
    with pytest.raises(NotAName) as caught:
        parse_name(text)
    assert "\n" not in str(caught.value) and caught.value.hint


@given(st.text(max_size=80) | st.text(alphabet="<>@:/.%#?=&ahtps0", max_size=60).map("https://".__add__))
def test_any_text_is_a_name_or_a_clear_mistake(text: str) -> None:
    try:
        name = parse_name(text)
    except UsageError as error:
        assert "\n" not in str(error)
        return
    if isinstance(name, MessageId):
        assert "@" in name.id and not set(name.id) & set("<> \n\t")
    else:
        assert name.server.startswith("http") and name.number >= 0


LOCAL = st.text(alphabet="abcXYZ0189.+=-_/%!$&*?^`{|}~'#", min_size=1, max_size=40).filter(
    lambda text: not text.startswith("/")
)


@given(LOCAL, st.sampled_from(["frogsfrogsfrogs", "mail.gmail.com", "localhost"]))
def test_every_id_survives_its_own_url(local: str, host: str) -> None:
    message_id = f"{local}@{host}"
    url = quote(message_id, safe="@+=.,-_~")
    assert parse_name(f"https://lore.kernel.org/all/{url}/T/#u") == MessageId(message_id)
    assert parse_name(f"<{message_id}>") == MessageId(message_id)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a stranger may lead us: addresses, names, redirections."""

import pytest

from reviewbot.host.public import NotPublic, Reach, check, git_place, session
from tests.web import web_page

PRIVATE = (
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a00:1", "fec0::1", "64:ff9b:1::a00:1", "2001:0:7f00:1::",
)  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_of_the_internet_is_refused(address: str) -> None:
    with pytest.raises(NotPublic, match="is not a public address"):
        Reach().addresses(address, 443)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_an_address_of_the_internet_is_taken(address: str) -> None:
    assert len(Reach().addresses(address, 443)) == 1


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f000001", "127.1"])
def test_a_name_is_what_it_resolves_to(host: str) -> None:
    with pytest.raises(NotPublic) as caught:
        check(f"https://{host}/x", Reach())
    assert caught.value.host == host


@pytest.mark.parametrize(
    "allowed", [("127.0.0.1",), ("127.0.0.1:8080",), ("127.0.0.0/8",), ("10.0.0.0/8", "127.0.0.1/32")]
)
def test_the_site_may_allow_hosts_and_networks(allowed: tuple[str, ...]) -> None:
    assert Reach(allowed).addresses("127.0.0.1", 8080) == ("127.0.0.1",)


@pytest.mark.parametrize("allowed", [("127.0.0.1:81",), ("10.0.0.0/8",), ("localhost",), ("::/0",)])
def test_what_the_site_allows_is_meant_exactly(allowed: tuple[str, ...]) -> None:
    with pytest.raises(NotPublic):
        Reach(allowed).addresses("127.0.0.1", 8080)


@pytest.mark.parametrize("url", [
    "http://%31.1.1.1/x", "http://1.1.1.1%2f/x", "http://é.example/x", "http://①.1.1.1/x", "http://1.1.1.1\\@127.0.0.1/x",
    "http://1.1.1.1\t/x", "http://1.1.1.1/\u202ex", "http://-o/x", "http:///x",
])  # fmt: skip
def test_a_url_that_git_may_read_otherwise_is_refused(url: str) -> None:
    """The address that was checked is kept under the name as we read it; under another one git would ask again."""
    with pytest.raises(NotPublic):
        git_place(url, Reach(("1.1.1.1", "127.0.0.1")))


def test_a_session_connects_to_allowed_addresses_only() -> None:
    with web_page(200, b"hello") as url:
        with session(Reach(("127.0.0.1",))) as asking:
            assert asking.get(url, timeout=30).content == b"hello"
        with session(Reach()) as asking, pytest.raises(NotPublic):
            asking.get(url, timeout=30)


def test_git_gets_the_address_that_was_checked() -> None:
    reach = Reach(("127.0.0.1",))
    url, settings, env = git_place("git://127.0.0.1/a/b.git", reach)
    assert (url, settings, env) == ("git://127.0.0.1:9418/a/b.git", (), {"GIT_OVERRIDE_VIRTUAL_HOST": "127.0.0.1"})
    url, settings, env = git_place("http://127.0.0.1:9/b.git", reach)
    assert url == "http://127.0.0.1:9/b.git" and env == {}
    assert settings == ("http.followRedirects=false", "http.curloptResolve=127.0.0.1:9:127.0.0.1")

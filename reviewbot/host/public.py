# SPDX-License-Identifier: GPL-2.0-or-later
"""Places of the network that a stranger may name: public addresses, and what the site allows besides.

A name is resolved once, and the address that was checked is the one that is used, so that a second answer of its name
server cannot lead elsewhere. Redirections are places like all others.
"""

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from reviewbot.model.errors import UsageError

if TYPE_CHECKING:
    import requests

_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?|[0-9a-f:.]+", re.IGNORECASE)
_STRANGE = re.compile(r"[^\x21-\x7e]|\\")
"""What git or a library may read otherwise than we do."""
_PORTS = {"http": 80, "https": 443, "git": 9418}
_REDIRECTS = 5
_TIMEOUT = (10.0, 30.0)


class NotPublic(UsageError):
    """A stranger named a host of a private network."""

    def __init__(self, host: str, address: str) -> None:
        at = "" if host == address else f" is at {address}, which"
        super().__init__(
            f"{host}{at} is not a public address",
            hint="`network: {private: [HOST]}` in the site file allows a host or network",
        )
        self.host, self.address = host, address


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a stranger may lead us."""

    private: tuple[str, ...] = ()
    """Hosts (`git.lan`, `git.lan:8080`) and networks (`10.1.0.0/16`) that are allowed although they are not public."""

    def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Of a host, all of them allowed. Raises NotPublic, OSError when nobody knows the name."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
        if {host, f"{host}:{port}"} & set(self.private):
            return addresses
        for address in addresses:
            if not self._allows(address):
                raise NotPublic(host, address)
        return addresses

    def _allows(self, text: str) -> bool:
        address = ipaddress.ip_address(text)
        inner = _inner(address)
        if is_public(inner or address):
            return True
        for entry in self.private:
            try:
                network = ipaddress.ip_network(entry)
            except ValueError:
                continue
            if any(one is not None and one.version == network.version and one in network for one in (address, inner)):
                return True
        return False


def _inner(address: "ipaddress.IPv4Address | ipaddress.IPv6Address") -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for: mapped, 6to4 or NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in ipaddress.ip_network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def is_public(address: "ipaddress.IPv4Address | ipaddress.IPv6Address") -> bool:
    """Whether it is an address of one host of the internet."""
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or address.is_reserved or site_local)


def proxied(url: str) -> bool:
    """Whether a proxy of this machine is asked for it, which resolves the name itself."""
    place = urlsplit(url)
    return bool(place.hostname) and place.scheme in getproxies() and not proxy_bypass(place.hostname or "")


def check(url: str, reach: Reach) -> tuple[str, int, tuple[str, ...]]:
    """Host, port and addresses of a URL. Raises NotPublic, OSError.

    A host must be written so that everybody looks up the same name: git decodes `%61`, and writes `é` in its own way.
    Behind a proxy a name that this machine cannot resolve has no addresses: the proxy decides where it leads.
    """
    place = urlsplit(url)
    host, port = place.hostname or "", place.port or _PORTS.get(place.scheme, 0)
    if not _HOST.fullmatch(host) or _STRANGE.search(url):
        raise NotPublic(host, host)
    try:
        return host, port, reach.addresses(host, port)
    except socket.gaierror:
        if proxied(url):
            return host, port, ()
        raise


def session(reach: Reach) -> "requests.Session":
    """A session of requests that connects to allowed addresses only, also where it is redirected to."""
    import requests  # 50 ms
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.exceptions import NewConnectionError
    from urllib3.util import connection

    def connect(self: HTTPConnection) -> socket.socket:
        try:
            addresses = reach.addresses(self.host, self.port)
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error
        for address in addresses:
            try:
                return connection.create_connection(
                    (address, self.port), self.timeout, self.source_address, self.socket_options
                )
            except OSError as error:
                trouble = error
        raise NewConnectionError(self, str(trouble)) from trouble

    checked = {"_new_conn": connect}
    plain = type("_Connection", (HTTPConnection,), checked)
    secure = type("_SecureConnection", (HTTPSConnection,), checked)
    pools = {
        "http": type("_Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("_SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }

    class _Adapter(HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            super().init_poolmanager(*arguments, **options)
            self.poolmanager.pool_classes_by_scheme = pools

        def send(self, request: Any, *arguments: Any, **options: Any) -> Any:
            if options.get("proxies") and proxied(request.url):
                check(request.url, reach)
            return super().send(request, *arguments, **options)

    made = requests.Session()
    for scheme in ("http://", "https://"):
        made.mount(scheme, _Adapter())
    return made


def git_place(url: str, reach: Reach) -> tuple[str, tuple[str, ...], Mapping[str, str]]:
    """What git is given to fetch from a URL of a stranger: the URL, settings (`NAME=VALUE`), and its environment.

    git connects to the address that was checked, and follows no redirection: those of the server are followed, and
    checked, here. Raises NotPublic, OSError.
    """
    place = urlsplit(url)
    if place.scheme == "git":
        host, port, addresses = check(url, reach)
        where = f"{host}:{port}" if place.port else host
        return f"git://{_bracketed(addresses[0])}:{port}{place.path}", (), {"GIT_OVERRIDE_VIRTUAL_HOST": where}
    url = _redirected(url, reach)
    host, port, addresses = check(url, reach)
    settings = ["http.followRedirects=false"]
    if addresses and not proxied(url):
        listed = ",".join(_bracketed(address) for address in addresses)
        settings.append(f"http.curloptResolve={host}:{port}:{listed}")
    return url, tuple(settings), {}


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _redirected(url: str, reach: Reach) -> str:
    """Where a repository is, after the redirections of its server."""
    question = "/info/refs?service=git-upload-pack"
    here = f"{url.rstrip('/')}{question}"
    import requests

    with session(reach) as asking:
        for _ in range(_REDIRECTS):
            try:
                with asking.get(here, allow_redirects=False, stream=True, timeout=_TIMEOUT) as answer:
                    target = answer.headers.get("location") if answer.is_redirect else None
            except requests.RequestException:
                return url  # git will say what is wrong
            if target is None:
                return here.removesuffix(question) if here.endswith(question) else url
            here = urljoin(here, target)
            insecure = url.startswith("https:") and here.startswith("http:")
            if urlsplit(here).scheme not in ("http", "https") or insecure:
                return url
    return url

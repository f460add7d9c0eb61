"""What may be fetched, by its address alone: a table of what has led others' hubs to the machine they run on."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from adapters.fetch.addresses import BadAddress, ClosedAddress, Reach, check_address, checked
from tests.depth import first

OPEN = [
    ("https://example.org", "https://example.org/"),
    ("HTTPS://EXAMPLE.ORG/A?b=C#d", "https://example.org/A?b=C"),
    ("https://example.org:8402/v1", "https://example.org:8402/v1"),
    ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"),
    ("https://example。org/", "https://example.org/"),
    ("https://8.8.8.8/", "https://8.8.8.8/"),
    ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
    ("https://[64:ff9b::808:808]/", "https://[64:ff9b::808:808]/"),
    ("https://127.0.0.1.example.org/", "https://127.0.0.1.example.org/"),
    ("https://localhost.example.org./", "https://localhost.example.org./"),
]
NUMBERS = [
    *(
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0X7F.1",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "127.0.0.01",
    ),
    *("127.0.0.1.", "1.2.3.4.5", "999.1.1.1", "0x", "example.0x7f", "[fe80::1%25eth0]", "[::ffff:127.0.0.1%251]"),
]
CLOSED = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "203.0.113.1", "224.0.0.1"),
    *("239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16", "１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1"),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]"),
    *("[64:ff9b:1::1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]"),
    *("[ff02::1]", "[2001:db8::1]", "[3fff::1]", "[5f00::1]", "[100::1]", "[4000::1]"),
    *("localhost", "localhost.", "LOCALHOST", "ⓛocalhost", "a.localhost", "router", "router.", "nas.local", "db.internal"),
    *("metadata.google.internal", "fritz.lan", "1.0.0.127.in-addr.arpa", "shop.onion", "shop.test", "example.invalid"),
]  # fmt: skip
MALFORMED = [
    *("", "example.org", "//example.org", "ftp://example.org", "file:///etc/passwd", "javascript:alert(1)", "https://"),
    *("https://user@example.org", "https://user:hunter2@example.org", "https://example.org@127.0.0.1", "https://:@example.org"),
    *("https://example.org\\@127.0.0.1", "https://example.org 127.0.0.1", "https://exa\tmple.org", "https://example.org\r\nX: y"),
    *("https://example.org:0", "https://example.org:65536", "https://example.org:-1", "https://example.org:a", "https:///a"),
    *("https://exa%6dple.org", "https://example.org%00.a.org", "https://-a.org", "https://[::1", "https://[::g]", "https://a..org"),
    *("https://exa\u200bmple\u202e.org", "https://" + "a" * 64 + ".org", "https://" + "a." * 127 + "org"),
    "https://a.org/" + "b" * 2048,
]  # fmt: skip


@pytest.mark.parametrize(("given", "url"), OPEN)
def test_the_internet_is_open(given: str, url: str) -> None:
    assert str(checked(given, Reach())).rstrip("/") == url.rstrip("/")


@pytest.mark.parametrize("host", NUMBERS)
def test_a_number_is_an_address_in_its_usual_form_only(host: str) -> None:
    with pytest.raises(BadAddress, match="its host is a"):
        checked(f"https://{host}/", Reach(loopback=True))


@pytest.mark.parametrize("port", first(1, ["", ":443", ":8402"]))
@pytest.mark.parametrize("host", CLOSED)
def test_everything_else_is_closed(host: str, port: str) -> None:
    with pytest.raises(ClosedAddress, match="The hub fetches from the internet only"):
        checked(f"https://{host}{port}/a?secret=1", Reach())


@pytest.mark.parametrize("given", MALFORMED)
def test_what_is_no_address_is_said_to_be_none_and_not_repeated(given: str) -> None:
    with pytest.raises(BadAddress) as refused:
        checked(given, Reach(loopback=True))
    assert "hunter2" not in str(refused.value)
    assert "127.0.0.1" not in str(refused.value)


@pytest.mark.parametrize("port", [1, 22, 25, 53, 81, 444, 993, 1023])
def test_ports_of_other_services_are_closed(port: int) -> None:
    with pytest.raises(ClosedAddress, match="at a port that is not for web pages"):
        checked(f"https://example.org:{port}/", Reach())


@pytest.mark.parametrize("given", ["http://example.org", "http://8.8.8.8/", "http://example.org:443"])
def test_without_encryption_only_where_the_owner_said_so(given: str) -> None:
    with pytest.raises(ClosedAddress, match="without encryption"):
        checked(given, Reach(loopback=True))


def test_what_the_owner_allows_is_that_host_and_no_metadata() -> None:
    reach = Reach(frozenset({"nas:8402", "192.168.1.7", "169.254.169.254", "fd00:ec2::254", "shop.onion"}))
    for url in ("http://nas:8402/a", "http://192.168.1.7/", "https://192.168.1.7:25/"):
        assert str(checked(url, reach)) == url
    for url in (
        "http://nas/a",
        "http://nas:8403/a",
        "https://192.168.1.8/",
        "http://169.254.169.254/",
        "http://[fd00:ec2::254]/",
    ):
        with pytest.raises(ClosedAddress):
            checked(url, reach)
    for address in ("10.0.0.9", "127.0.0.1", "::1", "100.64.0.9", "fd00::9"):
        check_address(ip_address(address), "nas", reach, allowed=True)
    for address in (
        "100.100.100.200",
        "fd00:ec2::254",
        "fd20:ce::254",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "224.0.0.1",
        "0.0.0.0",
    ):
        with pytest.raises(ClosedAddress):
            check_address(ip_address(address), "nas", reach, allowed=True)


def test_the_loopback_is_opened_for_tests_alone() -> None:
    for url in ("http://127.0.0.1:8080/", "http://[::1]:8080/", "https://127.0.0.1:8080/"):
        assert str(checked(url, Reach(loopback=True))) == url
    with pytest.raises(ClosedAddress):
        checked("https://10.0.0.1/", Reach(loopback=True))

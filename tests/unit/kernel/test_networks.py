import pytest

from core.networks import is_host_name


@pytest.mark.parametrize(
    ("host", "usable"),
    [
        ("ollama", True), ("ollama.local.", True), ("192.168.1.5", True), ("", True), ("a" * 63, True), ("küche.example", True),
        ("ollama..local", False), (".local", False), ("a" * 64, False), (f"{'a' * 64}.local", False), ("ü..local", False),
        ("\ud800", False),
    ],
)  # fmt: skip
def test_a_host_name_is_one_that_the_resolver_would_take(host: str, usable: bool) -> None:
    assert is_host_name(host) is usable
    try:
        host.encode("idna")
    except UnicodeError:
        assert not usable
    else:
        assert usable

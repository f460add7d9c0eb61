"""Settings: what is accepted, and the one clear line for what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config import settings
from config.settings import BadSetting, UnknownSetting

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine's, and no `.env`."""
    for key in settings.known():
        monkeypatch.delenv(key, raising=False)
    for key in ("OLLAMA_URL", "OLLAMA_MODEL"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.chdir(tmp_path)


def test_everything_has_a_default() -> None:
    found = settings.load()
    assert found.http.port == 8080
    assert found.auction.budget == 200
    assert found.wallet.grant == 10_000
    assert found.ollama.url == "http://127.0.0.1:11434"


@pytest.mark.parametrize(("text", "seconds"), [("5", 5), ("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_durations_are_written_as_people_write_them(monkeypatch: pytest.MonkeyPatch, text: str, seconds: int) -> None:
    monkeypatch.setenv("TIMMY_AUCTION_DEADLINE", text)
    assert settings.load().auction.deadline == seconds


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TIMMY_HTTP_PORT=8081\nTIMMY_AUCTION_BUDGET=300 sats\n")
    monkeypatch.setenv("TIMMY_HTTP_PORT", "8082")
    found = settings.load()
    assert (found.http.port, found.auction.budget) == (8082, 300)


def test_ollamas_own_names_are_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OLLAMA_MODEL", "qwen3")
    monkeypatch.setenv("TIMMY_OLLAMA_MODEL", "llama3.2")
    found = settings.load()
    assert (found.ollama.url, found.ollama.model) == ("http://127.0.0.1:9", "llama3.2")


@pytest.mark.parametrize(("key", "near"), [("TIMMY_DATADIR", "TIMMY_DATA_DIR"), ("TIMMY_HTTP_PROT", "TIMMY_HTTP_PORT")])
def test_an_unknown_key_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch, key: str, near: str) -> None:
    monkeypatch.setenv(key, "1")
    with pytest.raises(UnknownSetting, match=f"{key}.*{near}"):
        settings.load()


def test_an_unknown_key_that_is_near_to_none_gets_no_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMMY_FOO", "1")
    with pytest.raises(UnknownSetting, match=r"There is no setting TIMMY_FOO\. docs/settings\.md lists them all\."):
        settings.load()


def test_an_unknown_key_in_the_file_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TIMMY_AUCTION_BUGDET=1\n")
    with pytest.raises(UnknownSetting, match="TIMMY_AUCTION_BUDGET"):
        settings.load()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TIMMY_HTTP_PORT", "eighty"), ("TIMMY_HTTP_PORT", "70000"), ("TIMMY_AUCTION_BUDGET", "-5"),
        ("TIMMY_AUCTION_BUDGET", "1.5"), ("TIMMY_AUCTION_LEASE", "soon"), ("TIMMY_OLLAMA_URL", "localhost"),
        ("TIMMY_OWNER", "ann"), ("TIMMY_TIMEZONE", "Mars/Olympus"), ("TIMMY_LOG_LEVEL", "LOUD"),
        ("TIMMY_HTTP_HOST", "0.0.0.0"), ("TIMMY_HTTP_PUBLIC_URL", "timmy"), ("TIMMY_LIGHTNING_BACKEND", "cash"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_its_key(monkeypatch: pytest.MonkeyPatch, key: str, value: str) -> None:
    monkeypatch.setenv(key, value)
    with pytest.raises(BadSetting) as refused:
        settings.load()
    said = str(refused.value)
    assert key.rsplit("_", 1)[0] in said
    assert "\n" not in said


def test_an_address_for_others_needs_its_public_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMMY_HTTP_HOST", "0.0.0.0")
    monkeypatch.setenv("TIMMY_HTTP_PUBLIC_URL", "https://timmy.example.org")
    assert settings.load().http.host == "0.0.0.0"

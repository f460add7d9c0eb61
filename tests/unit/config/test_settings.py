"""Settings: what is accepted, and the one clear line for what is not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from pydantic import Field, SecretStr

from config import personas, settings
from config.settings import BadLine, BadSetting, Settings, UnknownSetting, UnreadableSettings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine's, and no `.env`."""
    for key in settings.known():
        monkeypatch.delenv(key, raising=False)
    for key in ("OLLAMA_URL", "OLLAMA_MODEL", *(f"{secret}_FILE" for secret in settings.secrets())):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.chdir(tmp_path)


def test_everything_has_a_default() -> None:
    found = settings.load()
    assert found.http.port == 8080
    assert found.auction.budget == 200
    assert found.wallet.grant == 10_000
    assert found.ollama.url == "http://127.0.0.1:11434"


def test_folders_are_whole_from_the_start_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIMMY_WORKSPACE", "docs")
    found = settings.load()
    assert (found.data_dir, found.workspace) == (tmp_path / "data", tmp_path / "docs"), "children work in other folders"


def test_a_slash_at_the_end_of_telegrams_address_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMMY_TELEGRAM_BASE_URL", "http://127.0.0.1:8081/")
    assert settings.load().telegram.base_url == "http://127.0.0.1:8081"


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
        ("TIMMY_OLLAMA_URL", "http://[::1:11434"), ("TIMMY_OLLAMA_URL", "http://ollama..local:11434"),
        ("TIMMY_OLLAMA_URL", "http://h:99999"), ("TIMMY_OLLAMA_URL", "http://ann:pass@h"), ("TIMMY_OLLAMA_URL", "http://h/?q=1"),
        ("TIMMY_HTTP_PUBLIC_URL", "https://[foo"), ("TIMMY_HTTP_PUBLIC_URL", "https://a b"),
        ("TIMMY_HTTP_PUBLIC_URL", "https://timmy.example.org/hub"), ("TIMMY_HTTP_PUBLIC_URL", "https://h:x"),
        ("TIMMY_HTTP_TRUSTED_PROXY", "nginx"), ("TIMMY_TELEGRAM_BASE_URL", "127.0.0.1:8081"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_its_key(monkeypatch: pytest.MonkeyPatch, key: str, value: str) -> None:
    monkeypatch.setenv(key, value)
    with pytest.raises(BadSetting) as refused:
        settings.load()
    said = str(refused.value)
    assert said.startswith(f"{key} is wrong: ")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("TIMMY_HTTP_PORT", "eighty", "it is not a whole number"), ("TIMMY_HTTP_PORT", "70000", "it must be at most 65535"),
        ("TIMMY_HTTP_PORT", "9" * 5000, "it is too large"), ("TIMMY_AUCTION_BUDGET", "0", "it must be at least 1"),
        ("TIMMY_AUCTION_BUDGET", "1.5", "it is not an amount of whole sats such as 500"),
        ("TIMMY_AUCTION_BUDGET", "1,5", "it is not an amount of whole sats such as 500"),
        ("TIMMY_AUCTION_LEASE", "soon", "it is not a duration such as 90s, 10m, 2h or 1d"),
        ("TIMMY_LOG_LEVEL", "LOUD", "it is not one of 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("TIMMY_SPEECH_STT", "vosk", "it is not one of 'pocketsphinx', 'whisper' or 'off'"),
        ("TIMMY_DOCKER_IMAGE", "A b", "'A b' is no name of an image, such as timmy-agent or timmy-agent:2. Change it"),
        ("TIMMY_LOG_JSON", "maybe", "it is neither true nor false"), ("TIMMY_TELEGRAM_BASE_URL", "x", "it is not a URL such as"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_plain_words(monkeypatch: pytest.MonkeyPatch, key: str, value: str, says: str) -> None:
    monkeypatch.setenv(key, value)
    with pytest.raises(BadSetting, match=f"^{key} is wrong: {says}"):
        settings.load()


@pytest.mark.parametrize(("key", "value"), [("TIMMY_SPEECH_STT", "whisper"), ("TIMMY_SPEECH_TTS", "piper")])
def test_an_engine_that_needs_a_model_needs_its_folder(monkeypatch: pytest.MonkeyPatch, key: str, value: str) -> None:
    monkeypatch.setenv(key, value)
    with pytest.raises(BadSetting, match=f"^TIMMY_SPEECH_MODEL_DIR is wrong: it is not set, and {value} needs a model"):
        settings.load()


@pytest.mark.parametrize(
    "token", ["garbage", "123456", ":AAA", "bot:AAA", "123456:", "123456:AA A", "1:a/../b", "Token 1:AA"]
)
def test_what_can_be_no_token_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("TIMMY_TELEGRAM_TOKEN", token)
    with pytest.raises(BadSetting) as refused:
        settings.load()
    assert str(refused.value) == (
        "TIMMY_TELEGRAM_TOKEN is wrong: it is not a bot's token, which is a number, a colon, and letters;"
        " copy it again from @BotFather. Change it in the environment or in .env, and start again."
    )
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_variable_takes_back_what_the_file_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, blank: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        "TIMMY_HTTP_PORT=9\nTIMMY_HTTP_PUBLIC_URL=https://a.example\nTIMMY_OWNER=telegram:1\nTIMMY_OLLAMA_MODEL=b\n"
    )
    assert (settings.load().http.port, settings.load().ollama.model) == (9, "b")
    for key in ("TIMMY_HTTP_PORT", "timmy_http_public_url", "TIMMY_OWNER", "TIMMY_OLLAMA_MODEL"):
        monkeypatch.setenv(key, blank)
    monkeypatch.setenv("OLLAMA_MODEL", "c")
    found = settings.load()
    assert (found.http.port, found.http.public_url, found.owner) == (8080, None, Settings(_env_file=None).owner)
    assert found.ollama.model == "c"


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_value_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, blank: str) -> None:
    keys = [key for key in settings.known() if not key.endswith("_FILE")]
    for key in keys:
        monkeypatch.setenv(key, blank)
    assert settings.load() == Settings(_env_file=None)
    assert settings.load().telegram.token is None
    for key in keys:
        monkeypatch.delenv(key)
    (tmp_path / ".env").write_text("".join(f"{key}='{blank}'\n" for key in keys))
    assert settings.load().data_dir.name == "data"


def test_sats_may_be_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMMY_AUCTION_BUDGET", "1,000 sats")
    assert settings.load().auction.budget == 1000


@pytest.mark.parametrize(
    ("text", "line"),
    [("TIMMY_HTTP_PORT=8081\n\n  this is hunter2\n", 3), ("'oops\n", 1), ("# fine\nA=1\n=5\nB=2", 3)],
)
def test_a_line_of_the_file_that_sets_nothing_is_named_and_not_shown(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / ".env").write_text(text)
    with pytest.raises(BadLine, match=rf"^Line {line} of \.env is no KEY=VALUE") as refused:
        settings.load()
    assert "hunter2" not in str(refused.value)


def test_what_is_sold_to_others_needs_its_public_url_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMMY_SERVE_HOST", "0.0.0.0")
    with pytest.raises(
        settings.BadSetting, match=r"TIMMY_SERVE_HOST is wrong: 0\.0\.0\.0 is reachable .* TIMMY_SERVE_PUBLIC_URL"
    ):
        settings.load()
    monkeypatch.setenv("TIMMY_SERVE_PUBLIC_URL", "http://timmy.example.org")
    with pytest.raises(
        settings.BadSetting, match=r"TIMMY_SERVE_PUBLIC_URL is wrong: http to timmy\.example\.org is read by"
    ):
        settings.load()
    monkeypatch.setenv("TIMMY_SERVE_PUBLIC_URL", "https://timmy.example.org")
    assert settings.load().serve.host == "0.0.0.0"
    for price in ("0", "1.5", "10000001"):
        monkeypatch.setenv("TIMMY_SERVE_PRICE", price)
        with pytest.raises(settings.BadSetting, match="TIMMY_SERVE_PRICE"):
            settings.load()


def test_an_address_for_others_needs_its_public_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMMY_HTTP_HOST", "0.0.0.0")
    monkeypatch.setenv("TIMMY_HTTP_PUBLIC_URL", "https://timmy.example.org")
    assert settings.load().http.host == "0.0.0.0"


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://10.1.2.3:8080", True), ("http://192.168.1.2", True), ("http://172.16.0.1", True), ("http://100.64.1.1", True),
        ("http://169.254.1.1", True), ("http://127.0.0.1", True), ("http://[fd00::1]:8080", True), ("http://[fe80::1]", True),
        ("http://nas", True), ("http://nas.local", True), ("http://NAS.lan:8080/", True), ("http://timmy.internal", True),
        ("http://timmy.home.arpa", True), ("http://timmy.tail1234.ts.net", True),
        ("http://timmy.example.org", False), ("http://8.8.8.8", False), ("http://0.0.0.0", False), ("http://172.32.0.1", False),
        ("http://[2001:db8::1]", False), ("http://local.example.org", False), ("http://notlocal.xlan", False),
    ],
)  # fmt: skip
def test_plain_http_is_for_private_networks(monkeypatch: pytest.MonkeyPatch, url: str, private: bool) -> None:
    monkeypatch.setenv("TIMMY_HTTP_HOST", "0.0.0.0")
    monkeypatch.setenv("TIMMY_HTTP_PUBLIC_URL", url)
    if private:
        assert settings.load().http.public_url == url
    else:
        with pytest.raises(BadSetting, match=r"TIMMY_HTTP_PUBLIC_URL.*use https"):
            settings.load()


def test_ollamas_own_names_are_read_from_the_file_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OLLAMA_URL=http://127.0.0.1:9\nOLLAMA_MODEL=qwen3\n")
    assert settings.load().ollama.url == "http://127.0.0.1:9"
    monkeypatch.setenv("OLLAMA_MODEL", "llama3.2")
    assert settings.load().ollama.model == "llama3.2"
    (tmp_path / ".env").write_text("OLLAMA_URL=http://127.0.0.1:9\nTIMMY_OLLAMA_URL=http://127.0.0.1:10\n")
    assert settings.load().ollama.url == "http://127.0.0.1:10"


def test_a_wrong_value_under_ollamas_own_name_is_called_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_URL", "localhost:11434")
    with pytest.raises(BadSetting, match=r"^OLLAMA_URL is wrong"):
        settings.load()


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"TIMMY_TIMEZONE=\xff\xfe\n")
    with pytest.raises(UnreadableSettings, match=r"\.env.*UTF-8"):
        settings.load()


# Secrets -----------------------------------------------------------------------------------------------------------


class _Vault(settings._Group):
    """A group with secrets."""

    key: SecretStr | None = Field(None, description="the key")
    code: SecretStr = Field(SecretStr(""), description="the code")
    depth: int = Field(1, description="no secret")


class _WithVault(Settings):
    vault: _Vault = Field(default_factory=_Vault)


@pytest.mark.parametrize("name", ["KEY", "CODE"])
def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("  open sesame\n")
    monkeypatch.setenv("TIMMY_VAULT_DEPTH", "3")
    (tmp_path / ".env").write_text(f"TIMMY_VAULT_{name}_FILE={tmp_path / 'secret'}\n")
    found = settings.load_as(_WithVault).vault
    assert getattr(found, name.lower()).get_secret_value() == "open sesame"
    assert found.depth == 3
    monkeypatch.setenv(f"TIMMY_VAULT_{name}", "two")
    with pytest.raises(BadSetting, match=rf"^TIMMY_VAULT_{name}_FILE is wrong: TIMMY_VAULT_{name} is set too"):
        settings.load_as(_WithVault)


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_file_without_a_secret_is_named_by_its_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv("TIMMY_VAULT_KEY_FILE", str(tmp_path / "secret"))
    with pytest.raises(BadSetting, match=r"^TIMMY_VAULT_KEY_FILE is wrong: "):
        settings.load_as(_WithVault)


def test_only_a_secret_has_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.secrets(_WithVault)[-2:] == ("TIMMY_VAULT_KEY", "TIMMY_VAULT_CODE")
    assert "TIMMY_VAULT_KEY_FILE" in settings.known(_WithVault)["TIMMY_VAULT_KEY"][1]
    monkeypatch.setenv("TIMMY_VAULT_DEPTH_FILE", "x")
    with pytest.raises(UnknownSetting, match="no setting TIMMY_VAULT_DEPTH_FILE"):
        settings.load_as(_WithVault)


def test_durations_are_shown_as_they_are_written() -> None:
    shown = {key: default for key, (default, _) in settings.known().items() if key.startswith("TIMMY_AUCTION_")}
    assert shown == {
        "TIMMY_AUCTION_WINDOW": "5s", "TIMMY_AUCTION_BUDGET": 200, "TIMMY_AUCTION_DEADLINE": "1d",
        "TIMMY_AUCTION_REVIEW": "1d", "TIMMY_AUCTION_ATTEMPTS": 3, "TIMMY_AUCTION_LEASE": "1m",
    }  # fmt: skip


LND = {
    "TIMMY_LIGHTNING_BACKEND": "lnd",
    "TIMMY_LND_URL": "https://node.example.org:8080/",
    "TIMMY_LND_MACAROON_READ": "02aa",
    "TIMMY_LND_MACAROON_RECEIVE": "02BB",
    "TIMMY_LND_MACAROON_PAY": "02cc",
}


def set_lnd(monkeypatch: pytest.MonkeyPatch, **other: str) -> None:
    for key, value in {**LND, **{f"TIMMY_LND_{name}": value for name, value in other.items()}}.items():
        monkeypatch.setenv(key, value)


def test_a_macaroon_is_hex_or_the_path_of_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pay.macaroon").write_bytes(b"\x02\xff\x00")
    set_lnd(monkeypatch, MACAROON_PAY="pay.macaroon")
    found = settings.load().lnd
    given = [one.get_secret_value() for one in (found.macaroon_read, found.macaroon_receive, found.macaroon_pay) if one]
    assert given == ["02aa", "02bb", "02ff00"]
    assert found.url == "https://node.example.org:8080"
    assert "02ff00" not in repr(found)


@pytest.mark.parametrize("missing", [key for key in LND if key != "TIMMY_LIGHTNING_BACKEND"])
def test_lnd_without_what_it_needs_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    set_lnd(monkeypatch)
    monkeypatch.delenv(missing)
    with pytest.raises(BadSetting, match=f"^{missing} is wrong: it is not set"):
        settings.load()


def test_all_that_lnd_needs_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMMY_LIGHTNING_BACKEND", "lnd")
    with pytest.raises(BadSetting) as refused:
        settings.load()
    keys = ("URL", "MACAROON_READ", "MACAROON_RECEIVE", "MACAROON_PAY", "TLS_CERT_PATH")
    assert re.findall(r"TIMMY_LND_([A-Z_]+)", str(refused.value)) == list(keys)
    monkeypatch.setenv("TIMMY_LND_MACAROON_PAY", "/nowhere/pay.macaroon")
    monkeypatch.setenv("TIMMY_LND_TLS_CERT_PATH", "/nowhere/tls.cert")
    with pytest.raises(
        BadSetting,
        match=r"TLS_CERT_PATH is wrong: there is no file /nowhere/tls.cert; TIMMY_LND_MACAROON_PAY is wrong, too",
    ):
        settings.load()


@pytest.mark.parametrize(
    ("key", "value", "unused"),
    [
        ("LND_URL", "https://node.example.org:8080", "lnd"), ("LND_MACAROON_PAY", "02cc", "lnd"),
        ("PHOENIXD_PASSWORD", "hush", "phoenixd"), ("PHOENIXD_URL", "http://127.0.0.1:9740", ""),
    ],
)  # fmt: skip
def test_a_node_that_is_not_used_needs_nothing_and_is_known_as_such(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str, unused: str
) -> None:
    monkeypatch.setenv(f"TIMMY_{key}", value)
    found = settings.load()
    assert (found.lightning.backend, found.unused_backend) == ("simulated", unused)


def test_nobody_is_granted_more_than_a_simulated_node_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMMY_WALLET_GRANT", "1,000,000")
    assert settings.load().wallet.grant == 1_000_000
    monkeypatch.setenv("TIMMY_WALLET_GRANT", "1,000,001")
    with pytest.raises(BadSetting, match=r"^TIMMY_WALLET_GRANT is wrong: the simulated node has 1,000,000 sats"):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("URL", "http://192.168.1.5:8080", "http to 192.168.1.5 shows the macaroons"),
        ("URL", "node.example.org", "it is not a URL such as https://127.0.0.1:8080"),
        ("URL", "https://user:pass@node.example.org", "it has a name or password in it"),
        ("MACAROON_PAY", "0201hush", "it is neither hex nor the path of a file that can be read"),
    ],
)
def test_a_wrong_way_to_lnd_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str) -> None:
    set_lnd(monkeypatch, **{name: value})
    with pytest.raises(BadSetting) as refused:
        settings.load()
    assert f"TIMMY_LND_{name} is wrong: {why}" in str(refused.value)
    assert "hush" not in str(refused.value)


def test_plain_http_reaches_lnd_on_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    set_lnd(monkeypatch, URL="http://127.0.0.1:8080")
    assert settings.load().lnd.url == "http://127.0.0.1:8080"


NWC_KEY, NWC_SECRET = "ab" * 32, "5ec2e7" + "0" * 58
NWC_URI = f"nostr+walletconnect://{NWC_KEY}?relay=wss%3A%2F%2Frelay.example.org&secret={NWC_SECRET}"


@pytest.mark.parametrize(("backend", "key"), [("nwc", "TIMMY_NWC_URI"), ("phoenixd", "TIMMY_PHOENIXD_PASSWORD")])
def test_a_wallet_is_not_used_without_what_opens_it(monkeypatch: pytest.MonkeyPatch, backend: str, key: str) -> None:
    monkeypatch.setenv("TIMMY_LIGHTNING_BACKEND", backend)
    with pytest.raises(
        BadSetting, match=f"^{key} is wrong: it is not set, and TIMMY_LIGHTNING_BACKEND={backend} needs it"
    ):
        settings.load()


def test_a_wallets_secrets_are_read_and_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIMMY_LIGHTNING_BACKEND", "phoenixd")
    (tmp_path / "password").write_text("open sesame\n")
    monkeypatch.setenv("TIMMY_PHOENIXD_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("TIMMY_PHOENIXD_URL", "http://phoenixd:9740/")
    monkeypatch.setenv("TIMMY_NWC_URI", NWC_URI)
    found = settings.load()
    assert found.phoenixd.url == "http://phoenixd:9740"
    assert found.phoenixd.password is not None
    assert found.phoenixd.password.get_secret_value() == "open sesame"
    assert NWC_SECRET not in found.model_dump_json() + repr(found)
    assert "sesame" not in found.model_dump_json() + repr(found)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("nostr+walletconnect", "https", "it is no connection of a wallet"),
        (NWC_KEY, "npub1", "it is no connection of a wallet"),
        ("&secret=", "&key=", "it is no connection of a wallet"),
        (NWC_SECRET, NWC_SECRET[:-1], "it is no connection of a wallet"),
        ("relay=", "at=", "it is no connection of a wallet"),
        ("wss%3A%2F%2Frelay.example.org", "relay", "a relay in it is no address"),
        ("wss%3A", "ftp%3A", "a relay in it is no address"),
        ("wss%3A", "ws%3A", "ws to its relay relay.example.org shows"),
    ],
)
def test_what_can_be_no_connection_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, says: str
) -> None:
    monkeypatch.setenv("TIMMY_NWC_URI", NWC_URI.replace(old, new))
    with pytest.raises(BadSetting) as refused:
        settings.load()
    assert str(refused.value).startswith(f"TIMMY_NWC_URI is wrong: {says}")
    assert NWC_SECRET[:-1] not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_relay_of_ones_own_and_one_over_tls_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for relay in ("ws%3A%2F%2F127.0.0.1%3A7777", "wss%3A%2F%2Frelay.example.org&relay=ws://umbrel.local"):
        uri = NWC_URI.replace("wss%3A%2F%2Frelay.example.org", relay)
        monkeypatch.setenv("TIMMY_NWC_URI", uri)
        assert settings.load().nwc.uri == SecretStr(uri)


def test_phoenixds_password_does_not_cross_the_internet_in_the_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMMY_PHOENIXD_URL", "http://phoenixd.example.org:9740")
    with pytest.raises(
        BadSetting, match=r"^TIMMY_PHOENIXD_URL is wrong: http to phoenixd\.example\.org shows the password"
    ):
        settings.load()


# Models -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["TIMMY_OLLAMA_URL", "TIMMY_OPENAI_URL"])
@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True), ("[::1]", True), ("192.168.1.20", True), ("100.64.0.7", True), ("[fd00::1]", True), ("gpu", True),
        ("gpu.lan", True), ("gpu.tail1234.ts.net", True), ("8.8.8.8", False), ("[2606:4700::1111]", False),
        ("[::ffff:8.8.8.8]", False), ("models.example.org", False), ("0.0.0.0", False),
    ],
)  # fmt: skip
def test_a_model_is_local_unless_its_host_is_allowed_by_name(
    monkeypatch: pytest.MonkeyPatch, key: str, host: str, local: bool
) -> None:
    monkeypatch.setenv(key, f"https://{host}:8443/v1")
    if local:
        assert settings.load().model.allowed == frozenset()
        return
    bare = host.strip("[]")
    with pytest.raises(BadSetting, match=rf"{key}.*TIMMY_MODEL_HOSTS={re.escape(bare)}"):
        settings.load()
    monkeypatch.setenv("TIMMY_MODEL_HOSTS", f"other.example.org, {host.upper()}")
    assert bare in settings.load().model.allowed


@pytest.mark.parametrize("host", ["https://models.example.org", "models.example.org:443", "*.example.org", "a@b"])
def test_a_host_of_models_is_a_name(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("TIMMY_MODEL_HOSTS", host)
    with pytest.raises(BadSetting, match=r"TIMMY_MODEL_HOSTS.*models\.example\.org"):
        settings.load()


def test_the_key_of_a_model_server_is_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-canary\n")
    monkeypatch.setenv("TIMMY_OPENAI_KEY_FILE", str(file))
    found = settings.load()
    assert found.openai.key is not None
    assert found.openai.key.get_secret_value() == "sk-canary"
    assert "canary" not in repr(found)
    monkeypatch.delenv("TIMMY_OPENAI_KEY_FILE")
    monkeypatch.setenv("TIMMY_OPENAI_KEY", "two canaries")
    with pytest.raises(BadSetting) as error:
        settings.load()
    assert "canaries" not in str(error.value)


def test_a_persona_may_have_a_model_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMMY_MODEL_PERSONAS", "forge=qwen3:8b, quill=openai/mistral")
    assert settings.load().model.of == {"forge": "qwen3:8b", "quill": "openai/mistral"}
    assert {one.name: one.model for one in personas.load(models={"forge": "qwen3:8b"}) if one.model} == {
        "forge": "qwen3:8b"
    }
    for wrong in ("forge", "nobody=qwen3:8b", "forge=", "forge=a;b"):
        monkeypatch.setenv("TIMMY_MODEL_PERSONAS", wrong)
        with pytest.raises(BadSetting, match=r"forge=qwen3:8b.*echo"):
            settings.load()


def test_where_only_another_server_is_set_ollama_was_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not settings.load().ollama.given
    monkeypatch.setenv("TIMMY_OLLAMA_NUM_CTX", "4096")
    assert not settings.load().ollama.given
    monkeypatch.setenv("OLLAMA_MODEL", "qwen3")
    assert settings.load().ollama.given

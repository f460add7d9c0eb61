"""All settings: `TIMMY_*` from the environment and `.env`, checked as a whole before anything starts.

`TIMMY_HTTP_PORT` is `settings.http.port`. A key that nobody knows is refused with the nearest that is known; a secret
may also come from a file (`<KEY>_FILE`). `docs/settings.md` is generated from the fields below.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args
from urllib.parse import parse_qs, urlsplit

from dotenv.parser import parse_stream
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    SettingsConfigDict,
)

from core.errors import UserError
from core.networks import is_host_name, is_private_address, is_private_name
from core.wallet.lightning import SIMULATED_SATS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails
    from pydantic_settings import (
        PydanticBaseSettingsSource,
    )

PREFIX = "TIMMY_"
ENV_FILE = ".env"
FILE_SUFFIX = "_FILE"
BARE = {
    "OLLAMA_URL": "TIMMY_OLLAMA_URL", "OLLAMA_MODEL": "TIMMY_OLLAMA_MODEL", "COORDINATOR_URL": "TIMMY_HUB_URL"
}  # fmt: skip
"""What is read under a name without prefix too (CONTRACT, "Settings"), where the key itself is not set."""

_DURATION = re.compile(r"\s*([0-9]{1,7})\s*(s|m|h|d)?\s*", re.IGNORECASE)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SATS = re.compile(r"\s*([0-9]{1,16}|[0-9]{1,3}(?:,[0-9]{3}){1,5})\s*(?:sats?)?\s*", re.IGNORECASE)
_BOT_TOKEN = re.compile(r"[0-9]+:[A-Za-z0-9_-]+(?:/test)?")
"""A bot's number and its secret; `/test` behind it means Telegram's test servers."""

_NWC_URI = re.compile(r"nostr\+walletconnect:(?://)?[0-9a-fA-F]{64}/?\?(.*)")
"""NIP-47, "Nostr Wallet Connect URI": the wallet's key, and the relays and our secret in the query. Some leave the slashes out."""

_ACTOR = re.compile(r"[a-z]+:\S{1,200}")
_MATRIX_USER = re.compile(r"@[^\s:]{1,200}:\S{1,200}")
_LARGEST_SECRET = 64 * 1024
AnySettings = TypeVar("AnySettings", bound="Settings")
_NEAR = 0.7
"""How like a setting's name a key must be to be taken for it, misspelt (difflib's ratio)."""


class UnknownSetting(UserError):
    """There is no setting {key}.{nearest} docs/settings.md lists them all."""


class BadSetting(UserError):
    """{key} is wrong: {why}. Change it in the environment or in .env, and start again."""


class UnreadableSettings(UserError):
    """The file {file} cannot be read: {why}. Make it a text file in UTF-8 that you may read, or move it away."""


class BadLine(UserError):
    """Line {line} of {file} is no KEY=VALUE. Mend it, or begin it with # to have it left out, and start again."""


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    if (found := _DURATION.fullmatch(value)) is None:
        message = "it is not a duration such as 90s, 10m, 2h or 1d"
        raise ValueError(message)
    return int(found[1]) * _UNITS[(found[2] or "").lower()]


def _sats(value: object) -> object:
    if not isinstance(value, str):
        return value
    if (found := _SATS.fullmatch(value)) is None:
        message = "it is not an amount of whole sats such as 500"
        raise ValueError(message)
    return int(found[1].replace(",", ""))


_DURATION_READER = BeforeValidator(_duration)
Seconds = Annotated[int, _DURATION_READER, Field(ge=1, le=90 * 86400)]
Sats = Annotated[int, BeforeValidator(_sats), Field(ge=0, le=21 * 10**14)]
Folder = Annotated[Path, AfterValidator(Path.absolute)]
"""Whole from the start on: what children are given of it means the same in whatever folder they work."""
Names = Annotated[str, BeforeValidator(lambda value: ",".join(value) if isinstance(value, (list, tuple)) else value)]


def _address(value: str, example: str) -> SplitResult:
    """The parts of an address of a server, whole and usable. Raises `ValueError`."""
    message = f"it is not a URL such as {example}"
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(message) from None
    usable = bool(host) and (":" in host or is_host_name(host))
    if not value.isprintable() or " " in value or parts.scheme not in {"http", "https"} or not usable:
        raise ValueError(message)
    if parts.username is not None or parts.password is not None:
        message = "it has a name or password in it"
        raise ValueError(message)
    if parts.query or parts.fragment:
        message = "it has a query or fragment in it"
        raise ValueError(message)
    return parts


def _public(value: str | None) -> str | None:
    """The address at which others reach the hub. Raises `ValueError` where what they send is read by everybody on the way."""
    if value is not None:
        parts = _address(value, "https://timmy.example.org")
        if parts.path not in {"", "/"}:
            message = "it has a path, and the hub is at the root of its host"
            raise ValueError(message)
        if parts.scheme == "http" and not is_private(parts.hostname or ""):
            message = (
                f"http to {parts.hostname} is read by everybody on the way; use https, or a private network's name"
            )
            raise ValueError(message)
    return value


class _Elsewhere(ValueError):
    """What is wrong with the whole of a group lies in this field of it."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Http(_Group):
    """The sidecar: status page, health, metrics, API."""

    host: str = Field("127.0.0.1", description="address to listen on; anything but loopback needs HTTP_PUBLIC_URL")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on")
    public_url: str | None = Field(
        None,
        description="where others reach it: https; or http to a private address, a name without a dot, or one under"
        " .local .lan .internal .home.arpa .ts.net",
    )
    allowed_hosts: Names = Field("", description="further Host names to answer to, separated by commas")
    trusted_proxy: str | None = Field(
        None,
        description="IP address or network of the proxy whose X-Forwarded-For and X-Forwarded-Proto are believed (whose"
        " a stream is; whether cookies are Secure and origins https)",
    )

    @property
    def public_host(self) -> str:
        """The host of `public_url`; empty without one."""
        return urlsplit(self.public_url or "").hostname or ""

    @field_validator("public_url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        return _public(value)

    @field_validator("trusted_proxy")
    @classmethod
    def _proxy(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ipaddress.ip_network(value, strict=False)
            except ValueError:
                message = "it is not an IP address, or a network such as 172.18.0.0/16"
                raise ValueError(message) from None
        return value

    @model_validator(mode="after")
    def _exposed(self) -> Http:
        if not is_loopback(self.host) and self.public_url is None:
            message = f"{self.host} is reachable from outside; set TIMMY_HTTP_PUBLIC_URL too, or keep 127.0.0.1"
            raise _Elsewhere("host", message)
        return self


class Ollama(_Group):
    """The local model."""

    url: str = Field("http://127.0.0.1:11434", description="Ollama's address (OLLAMA_URL too)")
    model: str | None = Field(None, description="the model to use; the first installed if not set (OLLAMA_MODEL too)")
    num_ctx: int = Field(8192, ge=512, le=1_048_576, description="the model's window in tokens, always sent")

    @field_validator("url")
    @classmethod
    def _server(cls, value: str) -> str:
        _address(value, "http://127.0.0.1:11434")
        return value

    @property
    def given(self) -> bool:
        """Whether the server or its model is set, and not just what it is without."""
        return not self.model_fields_set.isdisjoint({"url", "model"})


class OpenAI(_Group):
    """A second model server, of the kind that llama.cpp, vLLM and LM Studio are; off without an address."""

    url: str | None = Field(
        None, description="address of a local server that speaks OpenAI's protocol, such as http://127.0.0.1:8081/v1"
    )
    model: str | None = Field(None, description="its model to use; the first that it has if not set")
    key: SecretStr | None = Field(None, description="the key it asks for, if it was started with one")

    @field_validator("url")
    @classmethod
    def _server(cls, value: str | None) -> str | None:
        if value is not None:
            _address(value, "http://127.0.0.1:8081/v1")
        return value

    @field_validator("key")
    @classmethod
    def _sayable(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse what no header can carry, without showing it."""
        if value is not None and not re.fullmatch(r"[!-~]{1,4096}", value.get_secret_value()):
            message = "it holds a space or another sign that no key has"
            raise ValueError(message)
        return value


class ModelGroup(_Group):
    """Model servers, all of them."""

    hosts: Names = Field(
        "",
        description="hosts outside of your private network that may be sent what people say, separated by commas; none otherwise",
    )

    personas: Names = Field(
        "",
        description="the models of personas that do not work with the hub's own, such as forge=qwen3:8b,quill=openai/mistral",
    )

    @property
    def of(self) -> dict[str, str]:
        """The model of each persona in `personas`."""
        return dict(pair.split("=", 1) for pair in split(self.personas))

    @property
    def allowed(self) -> frozenset[str]:
        """The names of `hosts`, as an address spells them."""
        return frozenset(host.lower().strip("[]") for host in split(self.hosts))

    @field_validator("hosts")
    @classmethod
    def _names(cls, value: str) -> str:
        for host in split(value):
            if ":" in host and _is_address(host.strip("[]")):
                continue
            if not re.fullmatch(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*", host):
                message = (
                    f"{host!r} is no name of a host such as models.example.org (without https://, port, or pattern)"
                )
                raise ValueError(message)
        return value

    @field_validator("personas")
    @classmethod
    def _pairs(cls, value: str) -> str:
        if value:
            from config import personas  # noqa: PLC0415 - where any is named

            known = [one.name for one in personas.load()]
            for pair in split(value):
                name, equals, model = pair.partition("=")
                if not equals or name not in known or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}", model):
                    message = (
                        f"{pair!r} is no persona with its model such as forge=qwen3:8b (personas: {', '.join(known)})"
                    )
                    raise ValueError(message)
        return value


class Telegram(_Group):
    """Telegram; off without a token."""

    token: SecretStr | None = Field(None, description="the bot's token from @BotFather; with it Telegram is on")
    base_url: str = Field("https://api.telegram.org", description="root of the Bot API server")
    chats: Names = Field("", description="ids of the groups it works in, separated by commas; none otherwise")
    mode: Literal["polling", "webhook"] = Field(
        "polling", description="how messages come: they are asked for, or Telegram sends them to HTTP_PUBLIC_URL"
    )
    webhook_secret: SecretStr | None = Field(None, description="what Telegram says with each message; made if not set")

    @field_validator("token")
    @classmethod
    def _shape(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse what can be no token, without showing it."""
        if value is not None and value.get_secret_value() and not _BOT_TOKEN.fullmatch(value.get_secret_value()):
            message = "it is not a bot's token, which is a number, a colon, and letters; copy it again from @BotFather"
            raise ValueError(message)
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _sayable(cls, value: SecretStr | None) -> SecretStr | None:
        """Telegram takes these letters only (setWebhook); a short one can be guessed."""
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]{16,256}", value.get_secret_value()):
            message = "it must be 16 to 256 letters, digits, _ or -; leave it out, and the hub makes one"
            raise ValueError(message)
        return value

    @field_validator("base_url")
    @classmethod
    def _root(cls, value: str) -> str:
        _address(value, "http://127.0.0.1:8081")
        return value.rstrip("/")

    @field_validator("chats")
    @classmethod
    def _numeric(cls, value: str) -> str:
        for chat in split(value):
            if not re.fullmatch(r"-[0-9]{1,15}", chat):
                message = f"{chat!r} is not a group's id such as -1001234567890; /whoami in the group says it"
                raise ValueError(message)
        return value


class Matrix(_Group):
    """Matrix; off without a server, a user, and a password or access token."""

    homeserver: str | None = Field(
        None, description="address of the bot's homeserver, such as https://matrix.example.org"
    )
    user: str | None = Field(None, description="the bot's user id, such as @timmy:example.org")
    password: SecretStr | None = Field(None, description="the bot's password")
    access_token: SecretStr | None = Field(None, description="an access token of the bot, instead of the password")
    device: str = Field("TIMMY", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="the bot's device id; it stays the same")
    rooms: Names = Field("", description="ids of the rooms it works in, separated by commas; none otherwise")
    encryption: Literal["off", "optional", "required"] = Field(
        "optional",
        description="whether it talks in encrypted rooms: never (off), there too, or nowhere else (required)",
    )
    trust: Literal["first-use", "verified"] = Field(
        "first-use",
        description="whom it believes in encrypted rooms: who was met first, or who was verified too (to spend)",
    )
    inviters: Names = Field("", description="user ids whose invitations are taken; the owners' on Matrix if not set")

    @field_validator("homeserver")
    @classmethod
    def _server(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = _address(value, "https://matrix.example.org")
        if parts.scheme == "http" and not is_private(parts.hostname or ""):
            message = f"http to {parts.hostname} shows the bot's password to everybody on the way; use https"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("user", "inviters")
    @classmethod
    def _users(cls, value: str | None) -> str | None:
        for user in split(value or ""):
            if not _MATRIX_USER.fullmatch(user):
                message = f"{user!r} is not a user id such as @ann:example.org"
                raise ValueError(message)
        return value

    @field_validator("rooms")
    @classmethod
    def _ids(cls, value: str) -> str:
        for room in split(value):
            if not re.fullmatch(r"!\S+", room):
                message = f"{room!r} is not a room's id such as !abc:example.org; the room's settings say it"
                raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _whole(self) -> Matrix:
        given = [self.homeserver, self.user, self.password or self.access_token]
        if any(given) and not all(given):
            missing = next(name for name, one in zip(("homeserver", "user", "password"), given, strict=True) if not one)
            message = "it is not set, and Matrix needs HOMESERVER, USER, and PASSWORD or ACCESS_TOKEN"
            raise _Elsewhere(missing, message)
        return self

    @property
    def on(self) -> bool:
        """Whether the hub is to talk on Matrix."""
        return self.homeserver is not None


class Shortcuts(_Group):
    """Siri Shortcuts."""

    enabled: bool = Field(default=False, description="whether devices with a shortcut token are answered")


class Speech(_Group):
    """Voice notes and spoken replies."""

    stt: Literal["pocketsphinx", "whisper", "off"] = Field(
        "pocketsphinx",
        description="what hears voice notes: the phrases of commands (pocketsphinx), or any sentence (whisper)",
    )
    tts: Literal["espeak-ng", "piper", "off"] = Field("espeak-ng", description="what speaks where /voice is on")
    model_dir: Path | None = Field(
        None, description="folder with your model of faster-whisper (model.bin) or voice of Piper (NAME.onnx)"
    )

    @model_validator(mode="after")
    def _brought(self) -> Speech:
        wanted = next((one for one in (self.stt, self.tts) if one in {"whisper", "piper"}), None)
        if wanted and self.model_dir is None:
            message = f"it is not set, and {wanted} needs a model of yours: the folder that holds it"
            raise _Elsewhere("model_dir", message)
        return self


class Auction(_Group):
    """The house rules of auctions."""

    window: Seconds = Field(5, description="how long bids are taken at most")
    budget: Sats = Field(200, ge=1, description="a task's budget where none is given, sats")
    deadline: Seconds = Field(86400, description="a task's time where none is given")
    review: Seconds = Field(86400, description="how long a person's result can be rejected")
    attempts: int = Field(3, ge=1, le=10, description="how many workers get a try at a task")
    lease: Seconds = Field(60, description="how long a worker may be silent")


class WalletGroup(_Group):
    """Money."""

    grant: Sats = Field(10_000, description="sats that a new simulated book grants its owner")
    approve_over: Sats = Field(
        1000,
        ge=1,
        description="the amount, in sats, above which a person taps before it is spent; /limits approve changes it",
    )
    day_limit: Sats | None = Field(
        None, ge=1, description="the most that each wallet may spend within 24 hours, sats; /limits day changes it"
    )


class Lightning(_Group):
    """Where sats live."""

    backend: Literal["simulated", "lnd", "nwc", "phoenixd"] = Field(
        "simulated",
        description="the Lightning backend: simulated sats, or a node or wallet of yours (docs/lightning.md)",
    )


class Lnd(_Group):
    """LND over REST; used where LIGHTNING_BACKEND is lnd."""

    url: str | None = Field(None, description="address of LND's REST, such as https://127.0.0.1:8080")
    tls_cert_path: Path | None = Field(
        None, description="LND's tls.cert, the only one that is then trusted; public authorities are if not set"
    )
    macaroon_read: SecretStr | None = Field(
        None, description="macaroon that may read: hex, or the .macaroon file's path"
    )
    macaroon_receive: SecretStr | None = Field(None, description="macaroon that may make and settle invoices, likewise")
    macaroon_pay: SecretStr | None = Field(None, description="macaroon that may pay, likewise")

    @field_validator("url")
    @classmethod
    def _server(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = _address(value, "https://127.0.0.1:8080")
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            message = f"http to {parts.hostname} shows the macaroons to everybody on the way; use https"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("macaroon_read", "macaroon_receive", "macaroon_pay")
    @classmethod
    def _hex(cls, value: SecretStr | None) -> SecretStr | None:
        """The macaroon itself, hex, from either way to give it. No error shows it."""
        if value is None or re.fullmatch(r"(?:[0-9a-fA-F]{2})+", given := value.get_secret_value().strip()):
            return value if value is None else SecretStr(given.lower())
        try:
            with Path(given).open("rb") as opened:
                return SecretStr(opened.read(_LARGEST_SECRET).hex())
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "no path can be that"
            message = f"it is neither hex nor the path of a file that can be read ({why})"
            raise ValueError(message) from None

    @field_validator("tls_cert_path")
    @classmethod
    def _there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            message = f"there is no file {value}"
            raise ValueError(message)
        return value

    @property
    def given(self) -> bool:
        """Whether any of it is set."""
        return any(getattr(self, name) is not None for name in type(self).model_fields)

    @property
    def missing(self) -> list[str]:
        """The fields that are needed and not set. A certificate of the node's own is among them where others are."""
        needed = ("url", "macaroon_read", "macaroon_receive", "macaroon_pay")
        found = [name for name in needed if getattr(self, name) is None]
        return [*found, "tls_cert_path"] if found and self.tls_cert_path is None else found


def _given(secret: SecretStr | None) -> bool:
    return secret is not None and bool(secret.get_secret_value())


class Nwc(_Group):
    """A wallet over Nostr Wallet Connect (NIP-47); used where LIGHTNING_BACKEND is nwc."""

    uri: SecretStr | None = Field(
        None, description="the connection that the wallet made for this hub: nostr+walletconnect://..."
    )

    @field_validator("uri")
    @classmethod
    def _connection(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse what can be no connection, without showing it."""
        if value is None:
            return None
        found = _NWC_URI.fullmatch(value.get_secret_value().strip())
        query = parse_qs(found[1]) if found else {}
        if not re.fullmatch(r"[0-9a-fA-F]{64}", "".join(query.get("secret", []))) or not query.get("relay"):
            message = (
                "it is no connection of a wallet, which is nostr+walletconnect:// with a key, a relay and a secret;"
                " copy it again from the wallet"
            )
            raise ValueError(message)
        for relay in query["relay"]:
            _relay(relay)
        return SecretStr(value.get_secret_value().strip())


def _relay(relay: str) -> None:
    """Raise `ValueError` for a relay that cannot be reached, or over whose way everybody could watch."""
    try:
        parts = _address(re.sub(r"^ws(?=s?://)", "http", relay, flags=re.IGNORECASE), "")
    except ValueError:
        message = "a relay in it is no address such as wss://relay.example.org"
        raise ValueError(message) from None
    if parts.scheme == "http" and not is_private(parts.hostname or ""):
        message = f"ws to its relay {parts.hostname} shows who pays when to everybody on the way; use one with wss"
        raise ValueError(message)


class Phoenixd(_Group):
    """phoenixd over HTTP; used where LIGHTNING_BACKEND is phoenixd."""

    url: str = Field("http://127.0.0.1:9740", description="phoenixd's address; http to a private network only")
    password: SecretStr | None = Field(None, description="http-password in phoenixd's phoenix.conf")

    @field_validator("url")
    @classmethod
    def _server(cls, value: str) -> str:
        parts = _address(value, "http://127.0.0.1:9740")
        if parts.scheme == "http" and not is_private(parts.hostname or ""):
            message = f"http to {parts.hostname} shows the password to everybody on the way; use https"
            raise ValueError(message)
        return value.rstrip("/")


class Serve(_Group):
    """What strangers can buy by L402."""

    enabled: bool = Field(default=False, description="whether strangers can buy chat and tasks for sats (L402)")
    host: str = Field("127.0.0.1", description="address to sell on; anything but loopback needs SERVE_PUBLIC_URL")
    port: int = Field(8402, ge=0, le=65535, description="port to sell on")
    public_url: str | None = Field(
        None, description="where strangers reach it: https; or http to a private network, as HTTP_PUBLIC_URL"
    )
    price: Sats = Field(100, ge=1, le=10_000_000, description="what one call costs, sats; a task is paid out of it")

    @field_validator("public_url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        return _public(value)

    @model_validator(mode="after")
    def _exposed(self) -> Serve:
        if not is_loopback(self.host) and self.public_url is None:
            message = f"{self.host} is reachable from outside; set TIMMY_SERVE_PUBLIC_URL too, or keep 127.0.0.1"
            raise _Elsewhere("host", message)
        return self


_CHANNEL = re.compile(r"([a-z][a-z0-9-]{0,31})=([a-z][a-z0-9+.-]*://\S+)")


class Notify(_Group):
    """Further ways to notify the owners (Apprise); none without channels."""

    channels: SecretStr | None = Field(
        None,
        description="ways to notify besides the chats, NAME=URL each, separated by blanks or lines; Apprise's URLs, such as"
        " phone=ntfys://ntfy.example.org/TOPIC. They hold secrets: better NOTIFY_CHANNELS_FILE",
    )

    @property
    def named(self) -> Mapping[str, str]:
        """The URL of each channel; no two have a name."""
        words = self.channels.get_secret_value().split() if self.channels else []
        return dict(word.split("=", 1) for word in words)

    @field_validator("channels")
    @classmethod
    def _whole(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse what names no channel, without showing it."""
        names: set[str] = set()
        for number, word in enumerate(value.get_secret_value().split() if value else [], 1):
            found = _CHANNEL.fullmatch(word)
            if found is None:
                message = f"number {number} of it is no NAME=URL, of a name like my-phone and a URL of Apprise's"
                raise ValueError(message)
            if found[1] in names:
                message = f"the channel {found[1]} is there twice"
                raise ValueError(message)
            names.add(found[1])
        return value


class RedisGroup(_Group):
    """Where the hub and its gateways meet; off without an address."""

    url: SecretStr | None = Field(
        None,
        description="address of the Redis by which gateways reach the hub, with its password:"
        " rediss://NAME:PASSWORD@HOST:6379/0; redis:// to a private network only, or unix:///PATH",
    )
    hub: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="id of the hub whose gateway this is, where several use that Redis",
    )

    @field_validator("url")
    @classmethod
    def _server(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse what leads nowhere, or shows the password on the way, without showing it here."""
        if value is None:
            return None
        url = value.get_secret_value().strip()
        message = (
            "it is no address such as redis://127.0.0.1:6379/0 (what is not a letter or digit in its password as %21)"
        )
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError(message) from None
        if not url.isprintable() or " " in url or parts.query or parts.fragment:
            raise ValueError(message)
        if parts.scheme == "unix":
            if not parts.path.startswith("/"):
                raise ValueError(message)
        elif parts.scheme not in {"redis", "rediss"} or not host or not re.fullmatch("/?[0-9]{0,5}", parts.path):
            raise ValueError(message)
        elif parts.scheme == "redis" and not is_private(host):
            message = f"redis to {host} shows its password and all work to everybody on the way; use rediss"
            raise ValueError(message)
        return SecretStr(url)


class HubGroup(_Group):
    """The hub that this machine works for, with `timmy worker`."""

    url: str = Field(
        "http://127.0.0.1:8080",
        description="the hub that `timmy worker` works for (COORDINATOR_URL too); unix:///PATH is a socket of it",
    )

    @field_validator("url")
    @classmethod
    def _server(cls, value: str) -> str:
        if value.startswith("unix:///") and value.isprintable():
            return value
        parts = _address(value, "http://127.0.0.1:8080")
        if parts.scheme == "http" and not is_private(parts.hostname or ""):
            message = f"http to {parts.hostname} shows the token to everybody on the way; use https"
            raise ValueError(message)
        return value.rstrip("/")


class WorkerGroup(_Group):
    """What `timmy worker` is."""

    token: SecretStr | None = Field(
        None, description="the token of `timmy worker`, which timmy token worker NAME mints"
    )
    name: str | None = Field(None, description="the name of `timmy worker`; this machine's if not set")
    capabilities: Names = Field(
        "", description="what `timmy worker` does, separated by commas; all that the personas do"
    )


class McpGroup(_Group):
    """MCP, both ways: what `timmy mcp` may do, and the servers whose tools the agent may call."""

    token: SecretStr | None = Field(
        None,
        description="the token of `timmy mcp`, which timmy token mcp NAME --for ACTOR mints; without it it only reads",
    )
    servers: Path | None = Field(
        None, description="a JSON file that lists MCP servers under `mcpServers`, whose tools the agent may call"
    )


class GitGroup(_Group):
    """Where repositories may come from."""

    hosts: Names = Field(
        "",
        description="hosts that the agent may clone public repositories from, such as codeberg.org, separated by commas;"
        " none otherwise",
    )

    @field_validator("hosts")
    @classmethod
    def _named(cls, value: str) -> str:
        for host in split(value):
            if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", host):
                message = f"{host!r} is not the name of a host such as codeberg.org"
                raise ValueError(message)
        return value


class DockerGroup(_Group):
    """Where agents in containers run."""

    url: str = Field("unix:///var/run/docker.sock", description="the Docker that runs agents in containers")
    image: str | None = Field(
        None,
        description="the image of /spawn's agents, such as timmy-agent; if not set, they work in the hub's own process. run_python"
        " takes it too, or else timmy-agent",
    )
    network: str = Field(
        "none",
        description="the network of those containers: none (they reach the hub alone), host, or the name of one of Docker's,"
        " which needs HTTP_PUBLIC_URL",
    )
    memory: int = Field(1024, ge=32, le=1_048_576, description="the memory of one of them, MB; it has no swap")
    cpus: float = Field(1.0, ge=0.05, le=1024, description="the processors that one of them may use")

    @field_validator("url")
    @classmethod
    def _server(cls, value: str) -> str:
        if value.startswith("unix:///") and value.isprintable() and len(value) > len("unix:///"):
            return value
        parts = _address(re.sub(r"\Atcp://", "http://", value), "unix:///var/run/docker.sock")
        if parts.scheme == "http" and not is_private(parts.hostname or ""):
            message = f"whoever is on the way to {parts.hostname} could run anything there; use https"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("image")
    @classmethod
    def _named(cls, value: str | None) -> str | None:
        if value is not None:
            from core.swarm.container import check_image  # noqa: PLC0415 - where there is one

            try:
                check_image(value)
            except UserError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("network")
    @classmethod
    def _own(cls, value: str) -> str:
        """A container of somebody else's, whose network could be shared too, is none."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", value):
            message = "it is neither none nor host, nor the name of a network, such as bridge"
            raise ValueError(message)
        return value


class Settings(BaseSettings):
    """Every setting of the hub."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_file=ENV_FILE,
        extra="ignore",
        frozen=True,
    )

    data_dir: Folder = Field(
        Path("data"), validate_default=True, description="where the hub keeps everything (made with mode 0700)"
    )
    workspace: Folder = Field(
        Path("workspace"), validate_default=True, description="the folder whose files tasks may read"
    )
    owner: Names = Field("", description="actor ids that own this hub, separated by commas")
    timezone: str | None = Field(
        None, description="time zone for shown times, such as Europe/Berlin; the system's if not set"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="what is logged")
    log_json: bool = Field(default=False, description="log as JSON lines")
    http: Http = Field(default_factory=Http)
    ollama: Ollama = Field(default_factory=Ollama)
    openai: OpenAI = Field(default_factory=OpenAI)
    model: ModelGroup = Field(default_factory=ModelGroup)
    telegram: Telegram = Field(default_factory=Telegram)
    matrix: Matrix = Field(default_factory=Matrix)
    shortcuts: Shortcuts = Field(default_factory=Shortcuts)
    speech: Speech = Field(default_factory=Speech)
    notify: Notify = Field(default_factory=Notify)
    auction: Auction = Field(default_factory=Auction)
    wallet: WalletGroup = Field(default_factory=WalletGroup)
    lightning: Lightning = Field(default_factory=Lightning)
    lnd: Lnd = Field(default_factory=Lnd)
    nwc: Nwc = Field(default_factory=Nwc)
    phoenixd: Phoenixd = Field(default_factory=Phoenixd)
    serve: Serve = Field(default_factory=Serve)
    redis: RedisGroup = Field(default_factory=RedisGroup)
    hub: HubGroup = Field(default_factory=HubGroup)
    worker: WorkerGroup = Field(default_factory=WorkerGroup)
    docker: DockerGroup = Field(default_factory=DockerGroup)
    mcp: McpGroup = Field(default_factory=McpGroup)
    git: GitGroup = Field(default_factory=GitGroup)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library's signature
        *sources: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The library's own sources, the first counts, but that a blank value is none, and takes back what comes after it.

        `<KEY>_FILE` is no field of a group: `load` reads it.
        """
        none = {f"{key}{FILE_SUFFIX}".lower() for key in secrets(cls)}
        for source in named.values():
            if isinstance(source, EnvSettingsSource):
                none |= {key for key, value in source.env_vars.items() if not (value and value.strip())}
                source.env_vars = {key: value for key, value in source.env_vars.items() if key not in none}
        return (*sources, *named.values())

    @model_validator(mode="after")
    def _reachable(self) -> Settings:
        if self.telegram.mode == "webhook" and not (self.http.public_url or "").startswith("https://"):
            message = "webhook needs TIMMY_HTTP_PUBLIC_URL, an https address at which Telegram reaches this hub; or use polling"
            raise _Elsewhere("telegram_mode", message)
        return self

    @model_validator(mode="after")
    def _local(self) -> Settings:
        """What people say goes to no server elsewhere that no owner named. Where a name leads is seen at each connection."""
        for field, url in (("ollama_url", self.ollama.url), ("openai_url", self.openai.url)):
            host = urlsplit(url or "").hostname or ""
            if host and not is_private(host) and host not in self.model.allowed:
                message = (
                    f"{host} is no host of a private network, and would be sent what people say here; if you mean it,"
                    f" set TIMMY_MODEL_HOSTS={host}"
                )
                raise _Elsewhere(field, message)
        return self

    @model_validator(mode="after")
    def _connected(self) -> Settings:
        """A backend that is set has what it needs."""
        where, fields = "docs/lightning-wallets.md", []
        match self.lightning.backend:
            case "lnd":
                where, fields = "docs/lightning.md", [f"lnd_{name}" for name in self.lnd.missing]
            case "nwc" if not _given(self.nwc.uri):
                fields = ["nwc_uri"]
            case "phoenixd" if not _given(self.phoenixd.password):
                fields = ["phoenixd_password"]
        if fields:
            others = ", ".join(f"{PREFIX}{field.upper()}" for field in fields[1:])
            also, what = (f", and neither are {others};", "them") if others else (", and", "it")
            message = (
                f"it is not set{also} TIMMY_LIGHTNING_BACKEND={self.lightning.backend} needs {what}: {where} tells how"
            )
            raise _Elsewhere(fields[0], message)
        return self

    @model_validator(mode="after")
    def _covered(self) -> Settings:
        """A simulated node has what it grants."""
        if self.lightning.backend == "simulated" and self.wallet.grant > SIMULATED_SATS:
            message = f"the simulated node has {SIMULATED_SATS:,} sats, and nobody can be granted more"
            raise _Elsewhere("wallet_grant", message)
        return self

    @property
    def unused_backend(self) -> str:
        """A backend that is set up and not chosen, while the sats are simulated; empty if there is none."""
        given = {"lnd": self.lnd.given, "nwc": _given(self.nwc.uri), "phoenixd": _given(self.phoenixd.password)}
        return next((name for name, one in given.items() if one), "") if self.lightning.backend == "simulated" else ""

    def fingerprint(self) -> str:
        """What tells whether others are the same settings. A secret that was changed alone is not seen by it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @property
    def owners(self) -> tuple[str, ...]:
        """The actor ids of `owner`."""
        return split(self.owner)

    @field_validator("owner")
    @classmethod
    def _actors(cls, value: str) -> str:
        for actor in split(value):
            if not _ACTOR.fullmatch(actor):
                message = f"{actor!r} is not an actor id such as telegram:12345"
                raise ValueError(message)
            if actor.startswith("telegram:") and not actor.removeprefix("telegram:").isdecimal():
                message = f"{actor!r} is no number: people on Telegram are known by their id, which the bot tells them"
                raise ValueError(message)
            if actor.startswith("matrix:") and not _MATRIX_USER.fullmatch(actor.removeprefix("matrix:")):
                message = f"{actor!r} has no user id such as matrix:@ann:example.org"
                raise ValueError(message)
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        if value is not None and value not in zoneinfo.available_timezones():
            message = f"there is no time zone {value!r}"
            raise ValueError(message)
        return value


def split(names: str) -> tuple[str, ...]:
    """The parts of a list setting."""
    return tuple(part for part in re.split(r"[,\s]+", names) if part)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether an address reaches only this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def is_private(host: str) -> bool:
    """Whether a host, by its spelling alone, is one that only a private network reaches."""
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return is_private_name(host)
    return is_private_address(address)


def known(of: type[Settings] = Settings) -> dict[str, tuple[object, str]]:
    """Every key with its default and description, as `TIMMY_…`."""
    found = {key: (default, words) for key, (_, default, words) in _fields(of).items()}
    for key in secrets(of):
        default, words = found[key]
        found[key] = (default, f"{words}; or `{key}{FILE_SUFFIX}`: a file that holds it")
    return found


def secrets(of: type[Settings] = Settings) -> tuple[str, ...]:
    """The keys whose values are secret: each may be read from a file instead."""
    return tuple(
        key
        for key, (annotation, _, _) in _fields(of).items()
        if annotation is SecretStr or SecretStr in get_args(annotation)
    )


def _fields(of: type[Settings]) -> dict[str, tuple[object, object, str]]:
    """Every key with its type, default and description."""
    found: dict[str, tuple[object, object, str]] = {}
    for name, field in of.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, _Group):
            for inner, one in field.annotation.model_fields.items():
                found[f"{PREFIX}{name}_{inner}".upper()] = (one.annotation, _default(one), one.description or "")
        else:
            found[f"{PREFIX}{name}".upper()] = (field.annotation, _default(field), field.description or "")
    return found


def _default(field: FieldInfo) -> object:
    """A field's default, a duration as it is written: `5s`, `1d`."""
    seconds = field.default
    if _DURATION_READER not in field.metadata or not isinstance(seconds, int):
        return seconds
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


def load(**overrides: Any) -> Settings:
    """Read and check all settings. Raises `UnknownSetting`, `BadSetting` (naming the key), `UnreadableSettings`, `BadLine`."""
    return load_as(Settings, **overrides)


def load_as(of: type[AnySettings], **overrides: Any) -> AnySettings:
    """The same for settings that are declared elsewhere."""
    written = {**_dotenv(of), **{key.upper(): value for key, value in os.environ.items()}}
    _refuse_unknown(written, of)
    given = {key: value for key, value in written.items() if value and value.strip()}
    values = dict(overrides)
    for key in secrets(of):
        if file := given.get(key + FILE_SUFFIX):
            if given.get(key):
                raise BadSetting(key=key + FILE_SUFFIX, why=f"{key} is set too, and one of them is enough")
            group, _, name = key.removeprefix(PREFIX).lower().partition("_")
            values[group] = {**values.get(group, {}), name: secret_in(key + FILE_SUFFIX, file)}
    bare = {key: name for name, key in BARE.items() if given.get(name) and not given.get(key)}
    for key, own_name in bare.items():
        group, _, name = key.removeprefix(PREFIX).lower().partition("_")
        if isinstance(own := values.get(group, {}), dict):
            values[group] = {name: given[own_name], **own}
    try:
        return of(**values)
    except ValidationError as error:
        raise _translate(error, bare) from None


def _translate(error: ValidationError, bare: Mapping[str, str]) -> BadSetting:
    """Everything that is wrong, by the keys that a person wrote."""
    (key, why), *others = (_wrong(one, bare) for one in error.errors())
    return BadSetting(key=key, why="; ".join([why, *(f"{other} is wrong, too: {reason}" for other, reason in others)]))


def _wrong(one: ErrorDetails, bare: Mapping[str, str]) -> tuple[str, str]:
    """The key of a wrong value, and what is wrong with it."""
    place = [str(part) for part in one["loc"]]
    if isinstance(cause := one.get("ctx", {}).get("error"), _Elsewhere):
        place.append(cause.field)
    key = PREFIX + "_".join(place).upper()
    why = _SAID[one["type"]].format_map(one.get("ctx", {})) if one["type"] in _SAID else str(one["msg"])
    why = why.removeprefix("Value error, ").rstrip(".")
    return bare.get(key, key), why[0].lower() + why[1:]


_SAID = {
    "int_parsing": "it is not a whole number", "int_parsing_size": "it is too large",
    "bool_parsing": "it is neither true nor false",
    "greater_than_equal": "it must be at least {ge}", "less_than_equal": "it must be at most {le}",
    "literal_error": "it is not one of {expected}", "string_pattern_mismatch": "it is not a URL such as http://127.0.0.1:8081",
}  # fmt: skip
"""What the library says of a wrong value, in plain words, by its type of error."""


def _dotenv(of: type[Settings]) -> dict[str, str | None]:
    """What the file `.env` sets, by key in capitals."""
    try:
        if Path(ENV_FILE).is_file():
            _refuse_garbage(Path(ENV_FILE))
        return {key.upper(): value for key, value in DotEnvSettingsSource(of, env_file=ENV_FILE).env_vars.items()}
    except UnicodeDecodeError:
        raise UnreadableSettings(file=ENV_FILE, why="it is not text in UTF-8") from None
    except OSError as error:
        raise UnreadableSettings(file=ENV_FILE, why=error.strerror or error) from None


def _refuse_garbage(file: Path) -> None:
    """Raise `BadLine` for a line that sets nothing: the library would skip it with a warning. It may hold a secret."""
    with file.open(encoding="utf-8") as lines:
        for found in parse_stream(lines):
            if found.error:
                blank = found.original.string[: -len(found.original.string.lstrip())]
                raise BadLine(file=file, line=found.original.line + blank.count("\n"))


def secret_in(key: str, file: str) -> str:
    """The stripped content of a file that holds a secret. No error shows it."""
    try:
        with Path(file).open(encoding="utf-8") as opened:
            found = opened.read(_LARGEST_SECRET).strip()
    except UnicodeDecodeError:
        raise BadSetting(key=key, why=f"{file} is not text in UTF-8") from None
    except (OSError, ValueError) as error:
        raise BadSetting(key=key, why=f"{file} cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not found:
        raise BadSetting(key=key, why=f"{file} is empty")
    return found


def _refuse_unknown(given: Mapping[str, object], of: type[Settings]) -> None:
    names = {*known(of), *(key + FILE_SUFFIX for key in secrets(of))}
    for key in sorted(key for key in given if key.startswith(PREFIX) and key not in names):
        import difflib  # noqa: PLC0415 - where a setting is misspelt

        words = [name.removeprefix(PREFIX) for name in names]  # what all share says nothing about which is near
        near = difflib.get_close_matches(key.removeprefix(PREFIX), words, n=1, cutoff=_NEAR)
        raise UnknownSetting(key=key, nearest=f" Did you mean {PREFIX}{near[0]}?" if near else "")

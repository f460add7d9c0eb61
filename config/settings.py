"""All settings: `TIMMY_*` from the environment and `.env`, checked as a whole before anything starts.

`TIMMY_HTTP_PORT` is `settings.http.port`. A key that nobody knows is refused with the nearest that is known; a secret
may also come from a file (`<KEY>_FILE`). `docs/settings.md` is generated from the fields below.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import zoneinfo
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from core.errors import UserError

PREFIX = "TIMMY_"
_DURATION = re.compile(r"\s*([0-9]{1,7})\s*(s|m|h|d)?\s*", re.IGNORECASE)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SATS = re.compile(r"\s*([0-9]{1,16})\s*(?:sats?)?\s*", re.IGNORECASE)
_ACTOR = re.compile(r"[a-z]+:\S{1,200}")
_NEAR = 0.7
"""How like a setting's name a key must be to be taken for it, misspelt (difflib's ratio)."""


class UnknownSetting(UserError):
    """There is no setting {key}.{nearest} docs/settings.md lists them all."""


class BadSetting(UserError):
    """{key} is wrong: {why}. Change it in the environment or in .env, and start again."""


def _duration(value: object) -> object:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) * _UNITS[(found[2] or "").lower()] if found else value


def _sats(value: object) -> object:
    found = _SATS.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) if found else value


def _list(value: object) -> object:
    return tuple(part for part in re.split(r"[,\s]+", value) if part) if isinstance(value, str) else value


Seconds = Annotated[int, BeforeValidator(_duration), Field(ge=1, le=90 * 86400)]
Sats = Annotated[int, BeforeValidator(_sats), Field(ge=0, le=21 * 10**14)]
Names = Annotated[str, BeforeValidator(lambda value: ",".join(value) if isinstance(value, (list, tuple)) else value)]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Http(_Group):
    """The sidecar: status page, health, metrics, API."""

    host: str = Field("127.0.0.1", description="address to listen on; anything but loopback needs HTTP_PUBLIC_URL")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on")
    public_url: str | None = Field(None, description="where others reach it: https, or http on a private network")
    allowed_hosts: Names = Field("", description="further Host names to answer to, separated by commas")
    trusted_proxy: str | None = Field(None, description="address of the proxy whose forwarding headers are believed")

    @field_validator("public_url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/]+/?", value):
            message = "it is not a URL such as https://timmy.example.org"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _exposed(self) -> Http:
        if not is_loopback(self.host) and self.public_url is None:
            message = f"{self.host} is reachable from outside; set TIMMY_HTTP_PUBLIC_URL too, or keep 127.0.0.1"
            raise ValueError(message)
        return self


class Ollama(_Group):
    """The local model."""

    url: str = Field(
        "http://127.0.0.1:11434", pattern=r"^https?://\S+$", description="Ollama's address (OLLAMA_URL too)"
    )
    model: str | None = Field(None, description="the model to use; the first installed if not set (OLLAMA_MODEL too)")
    num_ctx: int = Field(8192, ge=512, le=1_048_576, description="the model's window in tokens, always sent")


class Telegram(_Group):
    """Telegram; off without a token."""

    token: SecretStr | None = Field(None, description="the bot's token from @BotFather; with it Telegram is on")
    base_url: str = Field(
        "https://api.telegram.org", pattern=r"^https?://[^\s?#]+[^\s?#/]$", description="root of the Bot API server"
    )
    chats: Names = Field("", description="ids of the groups it works in, separated by commas; none otherwise")
    mode: Literal["polling"] = Field("polling", description="how messages are fetched")

    @field_validator("chats")
    @classmethod
    def _numeric(cls, value: str) -> str:
        for chat in split(value):
            if not re.fullmatch(r"-[0-9]{1,15}", chat):
                message = f"{chat!r} is not a group's id such as -1001234567890; /whoami in the group says it"
                raise ValueError(message)
        return value


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


class Lightning(_Group):
    """Where sats live."""

    backend: Literal["simulated", "lnd", "nwc", "phoenixd"] = Field(
        "simulated", description="the Lightning backend; only simulated works in this version"
    )


class Settings(BaseSettings):
    """Every setting of the hub."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_file=".env",
        extra="ignore",
        frozen=True,
    )

    data_dir: Path = Field(Path("data"), description="where the hub keeps everything (made with mode 0700)")
    workspace: Path = Field(Path("workspace"), description="the folder whose files tasks may read")
    owner: Names = Field("", description="actor ids that own this hub, separated by commas")
    timezone: str | None = Field(
        None, description="time zone for shown times, such as Europe/Berlin; the system's if not set"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="what is logged")
    log_json: bool = Field(default=False, description="log as JSON lines")
    http: Http = Field(default_factory=Http)
    ollama: Ollama = Field(default_factory=Ollama)
    telegram: Telegram = Field(default_factory=Telegram)
    auction: Auction = Field(default_factory=Auction)
    wallet: WalletGroup = Field(default_factory=WalletGroup)
    lightning: Lightning = Field(default_factory=Lightning)

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


def is_loopback(host: str) -> bool:
    """Whether an address reaches only this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def known() -> dict[str, tuple[object, str]]:
    """Every key with its default and description, as `TIMMY_…`."""
    found: dict[str, tuple[object, str]] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, _Group):
            for inner, one in field.annotation.model_fields.items():
                found[f"{PREFIX}{name}_{inner}".upper()] = (one.default, one.description or "")
        else:
            found[f"{PREFIX}{name}".upper()] = (field.default, field.description or "")
    return found


def load(**overrides: Any) -> Settings:
    """Read and check all settings. Raises `UnknownSetting` or `BadSetting`, naming the key."""
    _refuse_unknown()
    bare = {key.lower(): os.environ[f"OLLAMA_{key}"] for key in ("URL", "MODEL") if os.environ.get(f"OLLAMA_{key}")}
    try:
        settings = Settings(**overrides)
        if bare:
            own = settings.ollama.model_dump(exclude_unset=True)
            settings = settings.model_copy(update={"ollama": Ollama(**{**bare, **own})})
    except ValidationError as error:
        first = error.errors()[0]
        key = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        why = str(first["msg"]).removeprefix("Value error, ")
        raise BadSetting(key=key.rstrip("_"), why=why[0].lower() + why[1:]) from None
    return settings


def _refuse_unknown() -> None:
    names = known()
    dotenv = DotEnvSettingsSource(Settings, env_file=".env")
    given = {key.upper() for key in (*os.environ, *dotenv.env_vars) if key.upper().startswith(PREFIX)}
    for key in sorted(given - set(names)):
        words = [name.removeprefix(PREFIX) for name in names]  # what all share says nothing about which is near
        near = difflib.get_close_matches(key.removeprefix(PREFIX), words, n=1, cutoff=_NEAR)
        raise UnknownSetting(key=key, nearest=f" Did you mean {PREFIX}{near[0]}?" if near else "")

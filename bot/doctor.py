"""`timmy doctor`: what is wrong with a set-up, check by check, with a stable id and what to do. It looks and changes nothing.

What the hub alone can see (its parts, its surfaces) is asked of the running hub; without one the rest is looked at.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from bot.doctor_docker import ask_docker, docker
from bot.doctor_mcp import mcp
from bot.doctor_money import Money, ask_money, gate, held, lightning
from bot.doctor_redis import ask_redis, redis
from bot.findings import Finding, Severity, check, refused
from bot.links import left_behind
from bot.parts.looks import (
    BookGone,
    look_at_books,
    look_at_channels,
    look_at_data,
    look_at_models,
    look_at_network,
    look_at_pages,
    look_at_port,
    look_at_workspace,
    look_from_outside,
    speech_lacks,
)
from bot.parts.nodes import OtherBook
from config.settings import is_loopback, split
from core.agent.model import Card
from core.errors import HubError
from core.swarm.stuck import HANDLER, MONEY
from core.tokens import CONSOLE_OWNER, TokenKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from bot.parts.far import RedisLook
    from bot.parts.models import ModelLook
    from config.settings import Settings

MOST_NAMED = 5
"""Of what is stuck."""

LEAST_BYTES = 100 << 20
FEW_BYTES = 1 << 30
CLOCK_MS = 60_000
"""How far ahead of the clock the newest entry may be: machines differ a little."""

FEW_PROXIES = 1 << 16
"""As many as a network of containers has."""

_PAGES = {"apprise": "notifications"}
"""Where a surface is told of on a page of another name."""

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)(:[0-9]{1,5})?")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of others beforehand: why it is not as it should be, or empty.

    `model`: why no model can be asked, and of the one that is asked first `window`, its longest context in tokens, if that is
    known, and whether it has `tools`; `servers`: each server of models, where there are several. `port`: why
    the hub could not listen, if none runs; else `outside`: why it is not reached by its public address. `money`: of the node and
    the gate. `deaf`: why one that runs does not answer. `redis`: what was seen of it, and of
    `docker` its version (empty: only the network was looked at), or why it is of no use. `channels`: by name why each is of no use.
    """

    model: str = ""
    window: int | None = None
    tools: bool = True
    servers: Sequence[ModelLook] = ()
    port: str = ""
    outside: str = ""
    money: Money = field(default_factory=Money)
    deaf: HubError | None = None
    redis: RedisLook | HubError | None = None
    docker: str | HubError | None = None
    channels: Mapping[str, str] = field(default_factory=dict)


async def ask(settings: Settings, *, runs: bool, gate: str = "", deaf: HubError | None = None) -> Asked:
    """Ask, of a hub that runs or not. `gate`: where the running one says that strangers can buy; `deaf`: why it says nothing."""
    runs = runs or deaf is not None
    looks = await look_at_models(settings)
    found = next((one for one in looks if not one.why), looks[0])
    card = found.card or Card()
    tools = card.tools or card.window is None  # of one that nothing is known of, that is not known either
    outside = await look_from_outside(settings) if runs and settings.http.public_url else ""
    port = ""
    if not runs:
        try:
            await look_at_port(settings)
        except HubError as error:
            port = str(error)
    money = await ask_money(settings, runs=runs, listens=gate)
    far, boxes = await ask_redis(settings), await ask_docker(settings)
    channels = await look_at_channels(settings)
    return Asked(found.why, card.window, tools, looks, port, outside, money, deaf, far, boxes, channels)


def examine(settings: Settings, status: Mapping[str, Any] | None, asked: Asked, env: Path) -> list[Finding]:
    """Every check. `status`: what the running hub says of itself; None if none runs. `env`: the settings' file."""
    runs = status is not None or asked.deaf is not None
    checks: list[Callable[[], Iterator[Finding]]] = [
        lambda: _folders(settings),
        lambda: _exposure(settings, env),
        lambda: _port(settings, asked.port, runs=runs),
        lambda: _owners(settings),
        lambda: _shortcuts(settings, asked.outside, runs=runs),
        lambda: _speech(settings),
        lambda: _model(settings, asked),
        lambda: lightning(settings, asked.money, runs=runs),
        lambda: gate(settings, asked.money, runs=runs),
        lambda: redis(settings, asked.redis),
        lambda: docker(settings, asked.docker),
        lambda: _channels(asked.channels),
        lambda: mcp(settings),
        lambda: _hub(settings, status, asked.deaf),
    ]
    return [finding for check in checks for finding in check()]


def misconfigured(error: HubError) -> Finding:
    """The settings cannot be read at all."""
    return Finding("settings.valid", ok=False, severity=Severity.ERROR, says=str(error))


def report(findings: list[Finding], *, as_json: bool) -> str:
    """The findings as lines, what is wrong first; or as one object."""
    good = not any(not one.ok and one.severity is Severity.ERROR for one in findings)
    if as_json:
        return json.dumps({"ok": good, "checks": [one._asdict() for one in findings]})
    wrong = [one for one in findings if not one.ok]
    checks = "1 check" if len(findings) == 1 else f"{len(findings)} checks"
    lines = [f"{checks}, {len(wrong) or 'nothing'} wrong"]
    lines += [f"{one.severity}  {one.id}: {one.says.rstrip('.')}. {one.fix}".rstrip() for one in wrong]
    lines += [f"ok  {one.id}: {one.says}" for one in findings if one.ok]
    return "\n".join(lines)


def _folders(settings: Settings) -> Iterator[Finding]:
    data, workspace = settings.data_dir, settings.workspace
    is_closed = _is_closed(data)
    if not is_closed and not data.is_dir():
        wrong = f"{data.absolute()} is not there"
        fix = "Start the hub once (timmy run), or set TIMMY_DATA_DIR. A relative folder is looked for where timmy is called."
        yield check("data.folder", "", wrong, fix, Severity.WARNING)
    elif is_closed or not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        yield check("data.folder", "", f"you may not use {data.absolute()}", "Run this as its owner.")
    else:
        yield from _data(settings, data)
    is_closed = _is_closed(workspace)
    there = not is_closed and workspace.is_dir() and os.access(workspace, os.R_OK | os.W_OK | os.X_OK)
    wrong = "" if there or not (is_closed or workspace.exists()) else f"{workspace.absolute()} cannot be used"
    fix = "Make it a folder of yours, or set TIMMY_WORKSPACE."
    try:
        look_at_workspace(settings)
    except HubError as error:
        wrong, fix = str(error), ""
    yield check("workspace.usable", str(workspace.absolute()), wrong, fix)


def _is_closed(path: Path) -> bool:
    """Whether it lies in a folder of somebody else's, who lets nobody look whether it is there."""
    try:
        path.exists()
    except PermissionError:
        return True
    return False


def _data(settings: Settings, data: Path) -> Iterator[Finding]:
    """A data folder that can be looked into; one that is somebody else's is told, and nothing is advised to be done to it."""
    try:
        look_at_data(settings)
    except HubError as error:
        yield refused("data.folder", error)
        return
    yield check("data.folder", str(data.absolute()))
    open_to = [path for path in (data, *data.iterdir()) if path.lstat().st_mode & 0o077 and not path.is_symlink()]
    wrong = f"others may read {open_to[0]}" if open_to else ""
    yield check("data.private", "nobody else reads it", wrong, f"chmod -R go= {data.absolute()}")
    free = shutil.disk_usage(data).free
    few = f"{free >> 20} MB are free where the data folder lies"
    severity = Severity.ERROR if free < LEAST_BYTES else Severity.WARNING
    yield check("data.disk", few, few if free < FEW_BYTES else "", "Make room: a full disk stops the hub.", severity)
    yield from _books(settings)
    yield from _wallets(settings)
    yield from held(settings)


def _books(settings: Settings) -> Iterator[Finding]:
    try:
        network = look_at_network(settings)
    except OtherBook as error:
        yield refused("books.network", error)
    except HubError:
        pass  # said of their balance
    else:
        if network is None:
            wrong = f"there are no books in {settings.data_dir.absolute()} yet"
            yield check("books.balance", "", wrong, "Start the hub once: timmy run", Severity.WARNING)
            return
        yield check("books.network", network)
    try:
        look_at_pages(settings)
        proof = look_at_books(settings, lambda tx: tx.books.prove())
        newest = look_at_books(settings, lambda tx: tx.newest_event())
    except BookGone as error:
        yield refused("books.balance", error)
        return
    except HubError as error:
        yield refused("books.balance", error)
        return
    yield check("books.balance", f"they balance, over {proof.entries} entries")
    ahead = newest - time.time_ns() // 1_000_000  # noqa: TID251 - it runs beside the hub, not in it
    wrong = f"the newest event is {ahead // 1000} s ahead of this machine's clock" if ahead > CLOCK_MS else ""
    yield check("machine.clock", "it has not gone back", wrong, "Set the clock right: deadlines and leases go by it.")


def _exposure(settings: Settings, env: Path) -> Iterator[Finding]:
    http = settings.http
    wide = "" if http.host in _LOOPBACK else f"the hub's web server listens on {http.host}, so other machines reach it"
    fix = "That is meant behind a proxy or in a private network; else leave TIMMY_HTTP_HOST out."
    yield check("http.bind", f"only this machine reaches {http.host}", wide, fix, Severity.WARNING)
    plain = (http.public_url or "").startswith("http://")
    wrong = f"{http.public_url} is not encrypted: tokens and the page's login pass in clear" if plain else ""
    yield check("http.public", http.public_url or "no public address", wrong, "Use https.", Severity.WARNING)
    hosts = sorted(split(http.allowed_hosts))
    never = [host for host in hosts if not _HOST.fullmatch(host)]
    wrong = f"no browser ever sends {', '.join(never)} as its Host" if never else ""
    fix = "Name hosts in TIMMY_HTTP_ALLOWED_HOSTS as hub.lan or hub.lan:8080: no scheme, no path, no star."
    yield check("http.hosts", f"further hosts: {', '.join(hosts) or 'none'}", wrong, fix, Severity.WARNING)
    many = ipaddress.ip_network(http.trusted_proxy or "127.0.0.1", strict=False).num_addresses
    wrong = (
        f"whoever has one of {many:,} addresses is believed when it says whose a request is"
        if many > FEW_PROXIES
        else ""
    )
    fix = "Set TIMMY_HTTP_TRUSTED_PROXY to the proxy's own address."
    yield check("http.proxy", http.trusted_proxy or "no proxy is trusted", wrong, fix, Severity.WARNING)
    if env.is_file():
        wrong = f"others may read {env.absolute()}, where secrets are" if env.stat().st_mode & 0o077 else ""
        yield check("settings.private", f"{env} is yours alone", wrong, f"chmod go= {env}", Severity.WARNING)


def _port(settings: Settings, wrong: str, *, runs: bool) -> Iterator[Finding]:
    """Whether a start would find its port free; of a hub that runs it is known."""
    if not runs:
        yield check("http.port", f"{settings.http.port} is free", wrong)


def _owners(settings: Settings) -> Iterator[Finding]:
    for name, on in (("telegram", settings.telegram.token is not None), ("matrix", settings.matrix.on)):
        if on:
            owned = any(owner.startswith(f"{name}:") for owner in settings.owners)
            wrong = "" if owned else f"nobody owns the hub on {name}"
            fix = f"Set TIMMY_OWNER={name}:YOUR-ID (/whoami says it), or let people in with timmy pair."
            yield check(f"{name}.owner", "its owner is known there", wrong, fix, Severity.WARNING)


def _wallets(settings: Settings) -> Iterator[Finding]:
    """Whether an owner left sats or work behind: who becomes one by the settings joins the owners' account, and it stays."""
    named = [actor for actor in settings.owners if actor != CONSOLE_OWNER]
    try:
        left = {actor: look_at_books(settings, partial(left_behind, actor=actor)) for actor in named}
    except HubError:
        return  # said of the books
    if left:
        wrong = "; ".join(f"{actor} has {what} in an account of their own" for actor, what in left.items() if what)
        fix = "Take them out of TIMMY_OWNER, start the hub, and let them join with /link: their sats come along."
        yield check("owners.wallet", "no owner left anything in an account of their own", wrong, fix, Severity.WARNING)


def _speech(settings: Settings) -> Iterator[Finding]:
    speech = settings.speech
    hears, speaks = speech_lacks(settings)
    fix = "See docs/voice.md, or set TIMMY_SPEECH_{}=off."
    wrong = "" if speech.stt == "off" else hears
    yield check("speech.hears", speech.stt, wrong, fix.format("STT"))
    wrong = "" if speech.tts == "off" else speaks
    yield check("speech.speaks", speech.tts, wrong, fix.format("TTS"), Severity.WARNING)
    if (folder := speech.model_dir) is not None:
        wrong = "" if folder.is_dir() else f"{folder.absolute()} is no folder"
        yield check("speech.models", str(folder), wrong, "Set TIMMY_SPEECH_MODEL_DIR to the folder of your model.")


def _channels(found: Mapping[str, str]) -> Iterator[Finding]:
    if found:
        wrong = "; ".join(f"{name}: {why}" for name, why in found.items() if why)
        fix = "Change it in TIMMY_NOTIFY_CHANNELS; docs/notifications.md says how they are written."
        yield check("notify.channels", ", ".join(found), wrong, fix)


def _shortcuts(settings: Settings, outside: str, *, runs: bool) -> Iterator[Finding]:
    """Whether a phone gets here, and whether those that may speak for somebody whom the hub knows."""
    if not settings.shortcuts.enabled:
        return
    http = settings.http
    wrong = outside if http.public_url else f"the hub listens on {http.host} alone, where no phone reaches it"
    if is_loopback(http.public_host):
        wrong = f"{http.public_url} is each machine itself: on a phone it is the phone"
    says = (
        f"the hub answers at {http.public_url}"
        if runs
        else f"whether it answers at {http.public_url} shows when it runs"
    )
    fix = "docs/shortcuts.md says how phones get here: see to TIMMY_HTTP_PUBLIC_URL and TIMMY_HTTP_HOST."
    yield check("shortcuts.reachable", says, wrong, fix, Severity.WARNING)
    if not os.access(settings.data_dir, os.R_OK | os.W_OK | os.X_OK):
        return  # said of the folder
    try:
        tokens, people = look_at_books(
            settings,
            lambda tx: (
                tx.tokens.live(),
                {one.actor for one in tx.tokens.people()} | {one.actor for one in tx.tokens.links()},
            ),
        )
    except HubError:
        return  # said of the books
    devices = [row for row in tokens if row.kind == TokenKind.SHORTCUT]
    fix = "Mint one for each device: timmy token shortcut NAME --for ACTOR"
    none = "" if devices else "no device has a token"
    many = "1 device has" if len(devices) == 1 else f"{len(devices)} devices have"
    yield check("shortcuts.token", f"{many} one", none, fix, Severity.WARNING)
    known = {CONSOLE_OWNER, *settings.owners} | people
    lost = ", ".join(f"{row.name} for {row.for_actor}" for row in devices if row.for_actor not in known)
    wrong = f"the hub does not know whom these speak for: {lost}" if lost else ""
    fix = "Let them in (timmy pair), or revoke the token: timmy token revoke shortcut NAME"
    yield check("shortcuts.account", "each speaks for somebody who is let in", wrong, fix, Severity.WARNING)
    off = {"telegram": settings.telegram.token is None, "matrix": not settings.matrix.on}
    silent = [row for row in devices if off.get((row.for_actor or "").partition(":")[0])]
    wrong = ", ".join(f"{row.name} asks {row.for_actor}, whose chat is off" for row in silent)
    fix = "Turn that surface on, or mint another token: what a device may not do by itself is tapped there."
    yield check("shortcuts.home", "each has a chat where its person is asked", wrong, fix, Severity.WARNING)


def _model(settings: Settings, asked: Asked) -> Iterator[Finding]:
    yield check("model.ready", "it answers", asked.model, "", Severity.WARNING)
    if len(asked.servers) > 1:
        away = "; ".join(f"{one.name} at {one.where}: {one.why}" for one in asked.servers if one.why)
        says = ", ".join(f"{one.model} of {one.name}" for one in asked.servers if not one.why)
        yield check(
            "model.servers",
            says,
            away,
            "The others answer meanwhile; start it, or unset its address.",
            Severity.WARNING,
        )
    if not asked.model:
        wants, window = settings.ollama.num_ctx, asked.window
        wrong = f"it was made for {window:,} tokens, and is asked with those, not with {wants:,}" if window else ""
        says = f"{wants:,} tokens" + ("" if window else "; its server does not say what it was made for")
        fix = f"Set TIMMY_OLLAMA_NUM_CTX={window}, or choose another model."
        yield check("model.window", says, wrong if window and wants > window else "", fix, Severity.WARNING)
        lacks = "" if asked.tools else "it cannot call tools: the agent only talks with it"
        yield check(
            "model.tools",
            "it can call tools",
            lacks,
            "Choose one that can, such as qwen3 or llama3.2.",
            Severity.WARNING,
        )


def _hub(settings: Settings, status: Mapping[str, Any] | None, deaf: HubError | None) -> Iterator[Finding]:
    if deaf is not None:
        yield refused("hub.running", deaf)
        return
    if status is None:
        wrong = "no hub runs, so its parts and its surfaces were not looked at"
        yield check("hub.running", "", wrong, "Start it: timmy run", Severity.WARNING)
        return
    yield check("hub.running", f"up for {status['uptime_s']} s")
    wrong = "" if status["settings"] == settings.fingerprint() else "the hub that runs was started with other settings"
    alone = status.get("gate") and not settings.serve.enabled
    fix = "Start it anew" + (
        ", unless timmy-serve started it: then it has the gate alone, whatever else is set." if alone else "."
    )
    yield check("hub.settings", "those that it was started with", wrong, fix, Severity.WARNING)
    faults = list(status["faults"])
    for name, part in status["parts"].items():
        fault = next((one for one in faults if one.startswith(f"{name} is ")), "")
        yield check(f"part.{name}", "up", fault or ("" if part["up"] else str(part["why"])), "The log says more.")
    stuck = [one for one in faults if "writer" in one]
    yield check("database.writer", "it writes", "; ".join(stuck), "See to the disk, then start the hub anew.")
    dead = int(status["dead_letters"])
    wrong = f"{dead} messages or events were given up" if dead else ""
    yield check("messages.given_up", "none", wrong, "The log names each.", Severity.WARNING)
    yield from _stuck(status.get("stuck", ()))
    for name, advice in status["advice"].items():
        yield check(
            f"{name}.advice", "nothing", "; ".join(advice), f"See docs/{_PAGES.get(name, name)}.md.", Severity.WARNING
        )


def _stuck(found: Sequence[Mapping[str, str]]) -> Iterator[Finding]:
    """What nothing moves any more: tasks, money that they have left, who handles events."""
    for name, says, kinds in (
        ("tasks.stuck", "each waits for something", None),
        ("money.left", "none is set aside for a task that is over", MONEY),
        ("events.stuck", "each is handled", HANDLER),
    ):
        some = [one for one in found if (one["kind"] == kinds if kinds else one["kind"] not in {MONEY, HANDLER})]
        wrong = "; ".join(f"{one['about']}: {one['why']}" for one in some[:MOST_NAMED])
        wrong += f"; and {more} more" if (more := len(some) - MOST_NAMED) > 0 else ""
        fix = some[0]["fix"] if some else ""
        yield check(name, says, wrong, f"{fix[:1].upper()}{fix[1:]}.")

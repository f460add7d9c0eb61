"""The chat surfaces besides the console. The library of each is imported only where it is on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from adapters import folder
from bot.registry import registry
from config.log import hide
from config.settings import split
from core.chat import Role
from core.tokens import CONSOLE_OWNER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from adapters.apprise.surface import Channels
    from adapters.clockwork import Nursery
    from adapters.matrix.surface import MatrixSurface
    from adapters.shortcuts.answers import Said
    from adapters.shortcuts.surface import ShortcutsSurface
    from adapters.sqlite.writer import Database
    from adapters.telegram.surface import TelegramSurface
    from adapters.web.routes import Route
    from adapters.web.shortcuts import Request
    from bot.approvals import Approvals
    from config.settings import Settings
    from core.chat import Outgoing
    from core.ports import Clock, IdSource
    from core.tokens import Identities, TokenTx


HOOK_PATH = "/telegram/webhook"

VERIFY_SECONDS = 600.0
"""How long a verification may take, by Matrix's specification."""


def listed(settings: Settings) -> frozenset[str]:
    """The conversations of the groups and rooms that the hub works in."""
    groups = {f"telegram:{chat}" for chat in split(settings.telegram.chats)}
    return frozenset(groups | {f"matrix:{room}" for room in split(settings.matrix.rooms)})


def works_in(groups: frozenset[str], conversation: str) -> bool:
    """Whether a conversation is in one of these groups, or on a surface that has none; a topic or thread is in its group."""
    places = {conversation.partition("/$")[0], conversation.partition("/")[0]}
    return conversation.partition(":")[0] not in {"telegram", "matrix"} or not groups.isdisjoint(places)


async def telegram(
    settings: Settings,
    store: Database,
    clock: Clock,
    ids: IdSource,
    nursery: Nursery,
    back: Callable[[], Awaitable[None]],
) -> TelegramSurface | None:
    """The Telegram surface, where it is on; its library is imported nowhere else."""
    if not settings.telegram.token:
        return None
    from adapters.telegram.menu import Menus  # noqa: PLC0415
    from adapters.telegram.surface import Access, Hook, TelegramSurface  # noqa: PLC0415

    token = settings.telegram.token.get_secret_value()
    hide(token)
    hook = None
    if settings.telegram.mode == "webhook":
        given = settings.telegram.webhook_secret
        secret = given.get_secret_value() if given else folder.secret(settings.data_dir, "telegram-webhook.secret", ids)
        hide(secret)
        hook = Hook(f"{(settings.http.public_url or '').rstrip('/')}{HOOK_PATH}", secret)
    access = Access(
        token, settings.telegram.base_url,
        frozenset(int(chat) for chat in split(settings.telegram.chats)), hook,
    )  # fmt: skip
    owners = [int(actor.partition(":")[2]) for actor in settings.owners if re.fullmatch(r"telegram:[0-9]+", actor)]
    menus = Menus(
        registry.menu(Role.MEMBER, private=True), registry.menu(Role.MEMBER, private=False),
        registry.menu(Role.OWNER, private=True), owners,
    )  # fmt: skip

    async def moved(old: str, new: str) -> None:
        await store.write(lambda tx: tx.messages.move("telegram", old, new, tx.now))

    moves = await store.read(lambda tx: tx.messages.moved("telegram"))
    return TelegramSurface(access, menus, clock=clock, spawner=nursery, back=back, moved=moved, moves=moves)


def channels(settings: Settings, back: Callable[[], Awaitable[None]]) -> Sequence[Channels]:
    """The channels of the owners, where there are any. Apprise itself is imported in a child process only."""
    named = settings.notify.named
    if not named:
        return ()
    from adapters.apprise.surface import Channels  # noqa: PLC0415

    for url in named.values():
        hide(url)
    return (Channels(named, back),)


async def matrix(
    settings: Settings, store: Database, clock: Clock, ids: IdSource, nursery: Nursery,
    told: tuple[
        Callable[[], Awaitable[None]], Callable[[str, str], Awaitable[None]], Callable[[str, str, str], Awaitable[None]],
        Callable[[str], bool],
    ],
) -> MatrixSurface:  # fmt: skip
    """The Matrix surface; its library is imported only where it is on."""
    from adapters.matrix.identity import IdentityFile  # noqa: PLC0415
    from adapters.matrix.memory import Memory  # noqa: PLC0415
    from adapters.matrix.surface import Access, MatrixSurface, Told  # noqa: PLC0415

    found = settings.matrix
    password, token = (one.get_secret_value() if one else "" for one in (found.password, found.access_token))
    for secret in filter(None, (password, token)):
        hide(secret)
    own = frozenset(actor.removeprefix("matrix:") for actor in settings.owners if actor.startswith("matrix:"))
    access = Access(
        found.homeserver or "", found.user or "", password, token, found.device, frozenset(split(found.rooms)),
        frozenset(split(found.inviters)) or own, found.encryption, found.trust,
    )  # fmt: skip
    identity = IdentityFile(settings.data_dir / "matrix", ids)
    memory = Memory(f"matrix/{access.user}", store, clock)
    await memory.load(ids.token(9))
    return MatrixSurface(access, identity, memory, clock=clock, spawner=nursery, told=Told(*told))


async def ask_verified(approvals: Approvals, identities: Identities, shown: str, words: str, user: str) -> None:
    """Ask the owners, elsewhere than on Matrix, whether somebody sees what the bot shows."""
    elsewhere = sorted(one for one in identities.everybody(CONSOLE_OWNER) if not one.startswith("matrix:"))
    await approvals.ask(
        "matrix-verify", shown, words, asked_by=f"matrix:{user}", where=f"matrix:{user}", approvers=elsewhere,
        seconds=VERIFY_SECONDS, key=f"matrix-verify/{shown}", exact=True,
    )  # fmt: skip


def shortcuts(
    settings: Settings, store: Database, clock: Clock, ids: IdSource, identities: Identities,
    delivery: tuple[Callable[[Outgoing], None], Callable[[], Awaitable[None]]],
) -> Sequence[ShortcutsSurface]:  # fmt: skip
    """The Shortcuts surface, if it is on: `delivery` sends what was written elsewhere, and what waits for it again."""
    if not settings.shortcuts.enabled:
        return ()
    from adapters.shortcuts.recordings import Recordings  # noqa: PLC0415 - as the other surfaces: where it is on
    from adapters.shortcuts.surface import ShortcutsSurface  # noqa: PLC0415

    def lives(tx: TokenTx, token: str, person: str) -> bool:
        return tx.tokens.by_hash(token) is not None and identities.role_in(tx, person) is not Role.GUEST

    send, back = delivery
    recordings = Recordings(settings.data_dir / "recordings")
    return (ShortcutsSurface(store, clock, ids, recordings, lives=lives, send=send, back=back),)


def shortcut_routes(surface: ShortcutsSurface, task_line: Callable[[str], str]) -> Sequence[Route]:
    """The surface behind its routes, each of which knows nothing of the other."""
    from adapters.shortcuts.surface import Ask  # noqa: PLC0415
    from adapters.web.shortcuts import Desk, Shortcuts  # noqa: PLC0415

    async def ask(request: Request) -> Said:
        recorded = request.recording
        content, media = (recorded.content, recorded.media) if recorded else (None, "")
        asked = Ask(
            request.device, request.route, request.text, request.alive, request.key, content, media, request.said
        )  # fmt: skip
        return await surface.ask(asked)

    return Shortcuts(Desk(surface.held, ask, surface.result, task_line)).routes()

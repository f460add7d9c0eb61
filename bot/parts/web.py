"""What listens: the sidecar, and what sells to strangers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from adapters import folder
from bot.parts.chats import shortcut_routes
from bot.serving import OwnPort, Serving, underpaid
from config.log import hide
from config.settings import is_loopback, split
from core.money import to_msat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from adapters.clockwork import Nursery
    from adapters.shortcuts.surface import ShortcutsSurface
    from adapters.telegram.surface import TelegramSurface
    from adapters.web.ports import Sources
    from adapters.web.routes import Route
    from adapters.web.server import Sidecar
    from bot.hub import Hub
    from bot.serving import Gate
    from bot.supervisor import Supervisor
    from config.settings import Settings
    from core.store import Store
    from core.swarm.desk import Desk
    from core.swarm.ports import ResultFile
    from core.tokens import TokenRow
    from core.wallet.sales import Cashier, SaleTx
    from core.wallet.selling import Seller


def sidecar(
    settings: Settings, sources: Sources, telegram: TelegramSurface | None, shortcuts: Sequence[ShortcutsSurface],
    task_line: Callable[[str], str], workers: Callable[[], Sequence[Route]],
) -> Sidecar:  # fmt: skip
    """The HTTP sidecar. Its library is 14 MB and 0.2 s, which `timmy ledger` and the like need not pay."""
    from adapters.web import telegram_hook  # noqa: PLC0415
    from adapters.web.server import Sidecar, Site  # noqa: PLC0415
    from adapters.web.shortcuts_setup import SetupPage  # noqa: PLC0415

    http = settings.http
    hook = telegram.hook if telegram is not None else None
    more = [*workers()]
    if telegram is not None and hook is not None:
        more.append(telegram_hook.route(hook.secret, telegram.take))
    for surface in shortcuts:
        elsewhere = None if is_loopback(http.public_host) else http.public_url
        more += [*SetupPage(elsewhere).routes(), *shortcut_routes(surface, task_line)]
    return Sidecar(
        Site(http.host, http.port, http.public_url, split(http.allowed_hosts), http.trusted_proxy), sources, more
    )


def worker_routes(
    desk: Desk,
    check: Callable[[str], Awaitable[TokenRow | None]],
    keep: Callable[[Sequence[tuple[str, bytes]]], Awaitable[tuple[ResultFile, ...]]],
) -> Sequence[Route]:
    """The worker API."""
    from adapters.web.worker_routes import WorkerRoutes  # noqa: PLC0415 - as in `sidecar`

    return WorkerRoutes(desk, check, keep).routes()


def selling(
    settings: Settings, sources: Sources, nursery: Nursery, hub: Hub, cashier: Cashier, supervisor: Supervisor
) -> Serving:
    """What sells to strangers. The gate is made when it is opened, or asked something."""

    @cache
    def seller() -> Seller:
        from core.wallet.selling import Seller  # noqa: PLC0415 - for the first who asks what is sold

        secret = folder.secret(settings.data_dir, "l402.secret", sources.ids)
        hide(secret)
        store = cast("Store[SaleTx]", sources.store)  # one unit of work has all stores
        return Seller(store, cashier, secret.encode(), clock=sources.clock, ids=sources.ids, spawner=nursery)

    def make(port: int | None, price: int | None) -> Gate:
        from adapters.web.l402_gate import Gate  # noqa: PLC0415 - as in `sidecar`
        from adapters.web.l402_shapes import Shopfront  # noqa: PLC0415
        from adapters.web.listening import Site  # noqa: PLC0415
        from bot.shop import Shop  # noqa: PLC0415

        http, serve = settings.http, settings.serve
        if (port or serve.port) and (serve.host, port or serve.port) == (http.host, http.port):
            raise OwnPort(port=http.port)
        site = Site(
            serve.host, serve.port if port is None else port, serve.public_url, split(http.allowed_hosts),
            http.trusted_proxy, "SERVE",
        )  # fmt: skip
        shop = Shop(seller(), hub.assistant(), hub.coordinator, hub.treasury, hub.health.model)
        front = Shopfront(
            seller(), shop, to_msat(price or serve.price), hub.wallet.simulated, lambda file: Path(hub.file_path(file))
        )
        return Gate(site, sources, front)

    return Serving(
        make,
        supervisor,
        enabled=settings.serve.enabled,
        warn=lambda price: underpaid(price, hub.roster.personas.values()),
        mute=hub.health.model,
    )

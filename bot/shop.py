"""What strangers buy by L402: a talk with the agent, and work of the swarm (docs/adr/0016).

A stranger is nobody here: a caller with what their token was sold for, and nothing else. A talk reserves a call and uses it once
the answer is kept; a task uses one in the unit of work that posts it. The treasury, which has the sats of the sale, pays the task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from core.access import Action, authorize
from core.agent.prompt import plain
from core.chat import Caller, Role
from core.errors import Unavailable, UserError
from core.money import format_sats, to_msat
from core.swarm.docket import UnknownTask
from core.swarm.orders import Order, words_of
from core.swarm.task import Status
from core.tokens import STRANGER
from core.wallet.ledger import TREASURY, NotEnoughSats
from core.wallet.limits import Frozen, OverLimit
from core.wallet.sales import TALKS, CallState
from core.wallet.selling import request_hash, use, worth

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.agent.agent import Assistant
    from core.swarm.coordinator import Coordinator
    from core.swarm.ports import ResultFile, SwarmTx
    from core.swarm.task import Task
    from core.treasury.treasury import Treasury
    from core.wallet.invoices import InvoiceTx
    from core.wallet.l402 import Grant
    from core.wallet.sales import Call, Goods, SaleTx
    from core.wallet.selling import Seller

MOST_TALKS = 4
"""Talks with strangers at a time: the model is the hub's own people's first."""

MOST_TASKS = 8
"""Tasks of strangers that wait or are worked on at a time: agents take what was posted first, whoever posted it."""

_SHOWN = frozenset({Status.DELIVERED, Status.SETTLED})


class NoAnswer(Unavailable):
    """The agent cannot answer now. Nothing was taken off your token; try again later."""


class TooManyTalks(Unavailable):
    """The agent is talking with others. Nothing was taken off your token; try again in a moment."""


class TooManyTasks(Unavailable):
    """The swarm has enough to do for others. Nothing was taken off your token; try again in a moment."""


class NoFunds(Unavailable):
    """The hub cannot fund a task now. Nothing was taken from you; try again later."""


class MoreThanSold(UserError):
    """The most that a task may cost (max_sats) is 1 sat to {most}, the price of its call."""


class Shop:
    """Serves those who paid."""

    def __init__(
        self,
        seller: Seller,
        assistant: Assistant,
        coordinator: Coordinator,
        treasury: Treasury,
        model: Callable[[], Awaitable[str | None]],
    ) -> None:
        """`model` tells why nobody can be talked with; None where somebody can."""
        self._treasury = treasury
        self._model = model
        self._seller = seller
        self._assistant = assistant
        self._coordinator = coordinator
        self._talking = 0

    async def refusal(self, goods: Goods) -> NoAnswer | NoFunds | None:
        """Why this would not be done now."""
        if goods.service == TALKS:
            return None if await self._model() is None else NoAnswer()
        return None if await self._treasury.refusal(goods.price) is None else NoFunds()

    def examine(self, description: str, max_sats: int | None, *, price: int) -> int:
        """What a task may cost for which a call of `price` msat is paid. Raises `MoreThanSold`, `NoWork` and `TooManyWords`."""
        budget = price if max_sats is None else to_msat(max_sats)
        if not to_msat(1) <= budget <= price:
            raise MoreThanSold(most=format_sats(price))
        words_of(description, "Shorten it; nothing was taken from you")
        return budget

    async def open(self, goods: Goods) -> None:
        """Raise why this would not be done now, `NoAnswer` or `NoFunds`: nobody should buy what they are refused then."""
        refused = await self.refusal(goods)
        if isinstance(refused, NoFunds) and isinstance(why := await self._treasury.refusal(goods.price), OverLimit):
            await self._treasury.short(why, goods.price)
        if refused is not None:
            raise refused

    async def chat(self, grant: Grant, message: str, key: str | None) -> str:
        """The agent's answer, in a conversation of the token's own. The same key again is answered the same, and costs nothing.

        Raises `NoAnswer` and `TooManyTalks`, with nothing taken, and what `Seller.reserve` does.
        """
        authorize(_stranger(grant), Action.TALK)
        if self._talking >= MOST_TALKS:
            raise TooManyTalks
        self._talking += 1
        try:
            call = await self._seller.reserve(grant, key, request_hash("chat", message))
            if call.state is CallState.USED:
                return (await self._say(grant, message, call))[0]
            return await self._serve(grant, message, call)
        finally:
            self._talking -= 1

    async def _serve(self, grant: Grant, message: str, call: Call) -> str:
        try:
            answer, whole = await self._say(grant, message, call)
        except Exception:
            await self._seller.give_back(call)
            raise
        if not whole:
            await self._seller.give_back(call)
            raise NoAnswer
        await self._seller.used(call)
        return answer

    async def _say(self, grant: Grant, message: str, call: Call) -> tuple[str, bool]:
        """An answer, and whether it came to its end."""
        said = ""

        def tell(text: str) -> None:
            nonlocal said
            said = text

        try:
            answer = await self._assistant.answer(_name(grant), message, call.cause, tell)
        except Unavailable as error:
            raise NoAnswer from error  # it may name the owner's machines
        return answer, not said or answer == plain(said).strip()

    async def post(self, grant: Grant, description: str, max_sats: int | None, key: str | None) -> Task:
        """Post a task for at most what a call was sold for, and came for it. The same key again is the same task, at no cost.

        Raises what `examine`, `Seller.reserve` and `Coordinator.post` do, `TooManyTasks` and `NoFunds`; nothing is taken then.
        """
        budget = self.examine(description, max_sats, price=grant.terms.price)
        call = await self._seller.look(grant, key, request_hash("task", description, max_sats))
        if call.task is not None:
            return await self._coordinator.show(call.task)

        def tell(tx: SwarmTx, task: Task) -> None:
            sold = cast("SaleTx", tx)  # one unit of work has both
            if use(sold, grant, call, task.id) and sold.sales.crowded(MOST_TASKS):
                raise TooManyTasks

        def fund(tx: SwarmTx, order: Order) -> Order:
            return order._replace(budget=min(budget, worth(cast("InvoiceTx", tx), grant)))

        order = Order(_stranger(grant), _name(grant), description, call.cause, budget=budget, account=TREASURY)
        try:
            return await self._coordinator.post(order, tell, fund)
        except (NotEnoughSats, OverLimit) as error:
            await self._seller.look(grant, call.key, call.request)  # that a token is used up comes first
            await self._treasury.short(error, budget)
            raise NoFunds from None  # what the treasury has and may is nobody's business
        except Frozen:
            raise NoFunds from None

    async def task(self, grant: Grant, number: int) -> tuple[Task, list[ResultFile]]:
        """A task that this bundle paid for, and its files once it is delivered. Raises `UnknownTask`."""
        if not await self._seller.bought(grant, number):
            raise UnknownTask(
                task=f"T-{number}", known="This token buys one by POST /v1/tasks, whose answer has its task_id"
            )
        task = await self._coordinator.show(number)
        return task, await self._coordinator.files(number) if task.status in _SHOWN else []


def _name(grant: Grant) -> str:
    return f"{STRANGER}{grant.name}"


def _stranger(grant: Grant) -> Caller:
    return Caller(_name(grant), Role.GUEST, bought=grant.terms.price)

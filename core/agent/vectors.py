"""What facts mean, as a model for embeddings has it: vectors made in the background, and near ones found for a question.

Where the model server has no such model, nothing is asked and nothing is kept. With another model than before all are made
anew, and until they are, facts are found by their words alone: the nearest of a part are not the nearest of all. Which facts lack
one is told by the rows, so that a crash only leaves some for later. Source: ADR 0032.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.errors import HubError
from core.store import Tx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports import Clock, Spawner
    from core.store import Store

log = logging.getLogger(__name__)

PART = 32
"""Facts that a model is given at once."""

MAKE_SECONDS = 120.0
ASK_SECONDS = 1.5
"""How long a part of them may take, and a question, which is answered without its vector rather than late."""

REST_MS = 60_000
"""How long a model that failed is not asked again."""

LOOK_MS = 600_000
"""How long it is believed which model there is."""

_NEAR = 0.9
"""Facts are near a question that are as near as the nearest, but for a tenth."""

_SAID = {"nomic-embed": ("search_document: ", "search_query: ")}
"""Models that want to be told what a text is (their cards say so), and how: a fact, a question."""


class Embedder(Protocol):
    """A server with models for embeddings."""

    async def embedder(self) -> str | None:
        """The model that it has for that, None if none; what it is called tells it from every other, also from one of its name.

        Raises as `Model.models` does.
        """

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each text, all of one length and none of nothing. Raises the model's errors."""


class Meant(NamedTuple):
    """What a text means to a model."""

    model: str
    vector: Sequence[float]


class VectorStore(Protocol):
    """Vectors of facts, inside one unit of work."""

    def any_facts(self) -> bool:
        """Whether anything is remembered at all."""

    def lacking(self, model: str, limit: int) -> list[tuple[int, str]]:
        """Facts, the newest first, that have no vector of this model: number and text."""

    def put(self, fact: int, meant: Meant) -> None:
        """Keep a fact's vector, in place of another model's; of one that was forgotten meanwhile none."""

    def nearest(self, memories: Sequence[int], meant: Meant, limit: int) -> list[tuple[int, float]]:
        """The facts nearest to it, the nearest first, each with the cosine between them."""


class VectorTx(Tx, Protocol):
    """A unit of work over vectors."""

    @property
    def vectors(self) -> VectorStore:
        """Vectors."""


class Vectors:
    """Has vectors made, and tells what a question means."""

    def __init__(self, store: Store[VectorTx], embedder: Embedder | None, spawner: Spawner, clock: Clock) -> None:
        self._store = store
        self._embedder = embedder
        self._spawner = spawner
        self._clock = clock
        self._model: str | None = None
        self._rests_until = 0
        self._look_at = 0
        self._again = False
        self.rested = asyncio.Event()
        """Set while no vectors are being made."""
        self.rested.set()

    def look(self) -> None:
        """There may be facts without a vector: make them by and by."""
        if self._embedder is None:
            return
        self._again = True
        self._look_at = self._clock.now() + LOOK_MS
        if self.rested.is_set():
            self.rested.clear()
            self._spawner.spawn(self._run(self._embedder), "vectors")

    def glance(self) -> None:
        """Look again where it is long ago: the server may have another model by now."""
        if self._clock.now() >= self._look_at:
            self.look()

    @property
    def ready(self) -> bool:
        """Whether a model may say what a question means."""
        return self._model is not None and self._clock.now() >= self._rests_until

    async def meaning(self, text: str) -> Meant | None:
        """What a question means; None where no model says so in time."""
        model = self._model
        if self._embedder is None or model is None or not self.ready:
            return None
        try:
            async with asyncio.timeout(ASK_SECONDS):
                (vector,) = await self._embedder.embed(model, [_said(model, 1) + text])
        except (HubError, TimeoutError) as error:
            if model == self._model:
                self._rest(error)
            return None
        return Meant(model, vector)

    async def _run(self, embedder: Embedder) -> None:
        try:
            while self._again:
                self._again = False
                await self._made(embedder)
        except (HubError, TimeoutError) as error:
            self._rest(error)
        finally:
            self.rested.set()

    async def _made(self, embedder: Embedder) -> None:
        """Make what is lacking, part by part."""
        if not await self._store.read(lambda tx: tx.vectors.any_facts()):
            return
        model = await embedder.embedder()
        if model != self._model:
            self._model = None
        while model is not None:
            some = await self._store.read_apart(lambda tx: tx.vectors.lacking(model, PART))
            if some:
                await self._part(embedder, model, some)
            if len(some) < PART:
                if model != self._model:
                    self._model, self._rests_until = model, 0
                return

    async def _part(self, embedder: Embedder, model: str, some: Sequence[tuple[int, str]]) -> None:
        async with asyncio.timeout(MAKE_SECONDS):
            made = await embedder.embed(model, [_said(model, 0) + text for _, text in some])

        def put(tx: VectorTx) -> None:
            for (fact, _), vector in zip(some, made, strict=True):
                tx.vectors.put(fact, Meant(model, vector))

        await self._store.write(put)

    def _rest(self, error: Exception) -> None:
        self._rests_until = self._look_at = self._clock.now() + REST_MS
        log.info("no vectors of facts for a while: %s", error)


def near(found: Sequence[tuple[int, float]]) -> list[int]:
    """Those that are about as near as the nearest."""
    return [fact for fact, cosine in found if cosine >= _NEAR * found[0][1] and cosine > 0]


def _said(model: str, place: int) -> str:
    return next((said[place] for name, said in _SAID.items() if name in model), "")

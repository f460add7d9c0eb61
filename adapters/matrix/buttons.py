"""Buttons on Matrix: the bot's own reactions under its message. One tap says the same, and what it means stands in the message."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from nio import ErrorResponse

from adapters.matrix import content
from adapters.matrix.calls import bounded, quietly, surely

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nio import AsyncClient, ReactionEvent

    from core.ports import Clock


class Buttons:
    """What stands under recent messages, and what lately was tapped."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._meant: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._shown: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._tapped: OrderedDict[str, str] = OrderedDict()

    async def pressed(self, client: AsyncClient, room: str, event: ReactionEvent) -> str:
        """The button that a reaction presses, from what this hub wrote into the message that it stands under; "" if none."""
        if event.sender == client.user_id or not event.reacts_to.startswith("$"):
            return ""
        meant = self._meant.get(event.reacts_to)
        if meant is None:
            found = await surely(self._clock, lambda: client.room_get_event(room, event.reacts_to))
            if isinstance(found, ErrorResponse) or found.event.sender != client.user_id:
                return ""
            said = found.event.source.get("content", {}).get(content.BUTTONS)
            meant = {str(label): str(tap) for label, tap in said.items()} if isinstance(said, dict) else {}
        bounded(self._tapped, event.event_id, event.reacts_to)
        return meant.get(event.key, "")

    def stands_for(self, event: str) -> str:
        """The message that an event is about: for a reaction the one that it stands under, else itself."""
        return self._tapped.get(event, event)

    async def show(self, client: AsyncClient, room: str, under: str, labels: Mapping[str, str], salt: str) -> None:
        """Have just these buttons stand under an event: label -> id. `salt` makes the names of the sends this hub's own.

        They are a help, since everything can be typed too: a server that does not take them loses no message.
        """
        shown = self._shown.setdefault(under, {})
        bounded(self._meant, under, dict(labels))
        bounded(self._shown, under, shown)
        for label in [label for label in shown if label not in labels]:
            await quietly(client.room_redact(room, shown.pop(label)))
        for label in [label for label in labels if label not in shown]:
            relation = {"rel_type": "m.annotation", "event_id": under, "key": label}
            name = f"{salt}-{under}-{labels[label]}".replace("$", "")
            answer = await quietly(
                client.room_send(
                    room, "m.reaction", {"m.relates_to": relation}, tx_id=name, ignore_unverified_devices=True
                )
            )
            if answer is not None:
                shown[label] = str(answer.event_id)

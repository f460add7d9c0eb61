"""Buttons on Matrix: the bot's own reactions under its message. One tap says the same, and what it means stands in the message."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast

from nio import EncryptionError, ErrorResponse, Event, MegolmEvent

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
            meant = await self._written(client, room, event.reacts_to)
        bounded(self._tapped, event.event_id, event.reacts_to)
        return meant.get(event.key, "")

    async def _written(self, client: AsyncClient, room: str, name: str) -> dict[str, str]:
        """The buttons that the hub wrote into an event, or into its newest edit, which a server hands over with it."""
        found = await surely(self._clock, lambda: client.room_get_event(room, name))
        if isinstance(found, ErrorResponse) or found.event.sender != client.user_id:
            return {}
        newest: Event = found.event
        edit = content.newest_edit(newest.source)
        if edit is not None and edit.get("sender") == client.user_id:
            newest = _read(client, room, edit) or newest
        return content.labels(newest.source)

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


def _read(client: AsyncClient, room: str, raw: dict[str, Any]) -> Event | None:
    """An event that came with another, as it was before it was encrypted; None if it cannot be read."""
    event = Event.parse_event(raw)
    if isinstance(event, MegolmEvent):
        event.room_id = room
        try:
            return None if client.olm is None else cast("Event", client.decrypt_event(event))
        except EncryptionError:
            return None
    return event if isinstance(event, Event) else None

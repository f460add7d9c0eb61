"""Files that people send: kept in the workspace under a plain name, then worth a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bot.replies import from_error
from core.access import Action, authorize
from core.chat import Button, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.chat import Attachment, Caller, Inbound
    from core.errors import HubError

_TABLES = (".csv", ".tsv", ".xlsx")
_TEXTS = (".md", ".txt", ".pdf", ".docx", ".rst")


class Kept(NamedTuple):
    """Files of one message, by the names they have in the workspace."""

    names: tuple[str, ...]

    @property
    def reply(self) -> Reply:
        """What is said of files that came without a word, with what could be done."""
        name = self.names[0]
        verb = "describe" if name.endswith(_TABLES) else "summarise" if name.endswith(_TEXTS) else ""
        if not verb:
            return Reply(self._saved)
        command = f"/task {verb} {name}"
        return Reply(f"{self._saved}\nTry: {command}", buttons=(Button(verb.capitalize(), command),))

    def named(self, text: str) -> str:
        """What was written with the files, with their names where it does not say them."""
        missing = [name for name in self.names if name not in text]
        return " ".join([text, *missing])

    def but(self, error: HubError, instead: str = "") -> Reply:
        """The files are kept, what was asked for with them is refused. `instead`: the command by which somebody else does it."""
        refusal = from_error(error, instead=instead)
        return Reply(f"{self._saved}\n{refusal.text}", refusal.data)

    @property
    def _saved(self) -> str:
        return f"Saved {', '.join(self.names)} in the workspace."


class Intake:
    """Fetches files from their surface and keeps them. `keep` gives the name a content ends up under.

    A fetch may take minutes: `still` raises where its sender is somebody else, or nobody, by then.
    """

    def __init__(
        self,
        fetch: Callable[[str, Attachment], Awaitable[bytes]],
        keep: Callable[[str, bytes], Awaitable[str]],
        still: Callable[[Caller], Awaitable[None]],
    ) -> None:
        self._fetch = fetch
        self._keep = keep
        self._still = still

    async def take(self, message: Inbound, caller: Caller) -> Kept:
        """Keep all files of a message. Raises what the surface says of a file that cannot be had, `NotAsYouWere` and `DiskFull`."""
        authorize(caller, Action.POST)
        names = []
        for one in message.files:
            content = await self._fetch(message.surface, one)
            await self._still(caller)
            names.append(await self._keep(one.name, content))
        return Kept(tuple(names))

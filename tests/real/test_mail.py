"""A mail server that we did not write (aiosmtpd) is a channel: what it puts off comes again, and arrives as it was written."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from config.settings import Notify
from core.automation.topics import Notice, Topic
from core.chat import Reply
from tests.scenario.bot import hub, settings

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork

WORDS = "quill keeps ending: ünï\n<b>no markup</b> {{no template}} \\n :smile:"


class Box:
    """Takes mail; the first is put off."""

    def __init__(self) -> None:
        self.taken: list[tuple[list[str], str]] = []
        self.put_off = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the library's name
        if not self.put_off:
            self.put_off += 1
            return "451 4.3.0 later"
        mail = message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=default)
        self.taken.append((envelope.rcpt_tos, f"{mail['Subject']}: {mail.get_content().strip()}"))
        return "250 taken"


async def test_an_owner_is_told_by_mail(tmp_path: Path) -> None:
    box = Box()
    smtp = pytest.importorskip("aiosmtpd.smtp", reason="make test-real installs aiosmtpd")
    async with await asyncio.get_running_loop().create_server(lambda: smtp.SMTP(box), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"mailto://127.0.0.1:{port}?from=timmy@example.org&to=owner@example.org&mode=insecure"
        found = settings(tmp_path).model_copy(update={"notify": Notify(channels=SecretStr(f"mail={url}"))})
        async with hub(tmp_path, found=found) as bot:
            await bot.say("/notify agents on to=mail")

            def work(tx: UnitOfWork) -> list[Any]:
                return bot.app.hub.notices.tell(tx, Notice(Topic.AGENTS, Reply(WORDS), {"console:owner"}))

            for message in await bot.app.store.write(work):
                bot.app.delivery.send(message)
            await bot.see(lambda: box.put_off, pace=0)
            await bot.see(lambda: box.taken, pace=1)
            assert box.taken == [(["owner@example.org"], f"Timmy: (this may be a duplicate) {WORDS}")]
            await bot.see(
                lambda: bot.rows("SELECT state FROM outgoing WHERE surface = 'apprise'") == [("sent",)], pace=0
            )

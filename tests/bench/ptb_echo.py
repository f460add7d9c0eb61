"""The peer of `tests/bench/telegram.py`: python-telegram-bot as its own examples set it up, echoing what is said."""

from __future__ import annotations

import logging
import sys
from typing import Any

from telegram.ext import Application, MessageHandler, filters


async def _echo(update: Any, _context: Any) -> None:
    await update.message.reply_text(update.message.text)


def main() -> None:
    """Poll until told to end."""
    logging.getLogger().setLevel(logging.ERROR)
    root, token = sys.argv[1:]
    application = Application.builder().token(token).base_url(f"{root}/bot").base_file_url(f"{root}/file/bot").build()
    application.add_handler(MessageHandler(filters.ALL, _echo))
    application.run_polling()


if __name__ == "__main__":
    main()

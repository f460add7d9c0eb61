"""Telegram as a chat surface, on python-telegram-bot's types and methods, its own transport, and a poll that forgets nothing."""

import os

os.environ["PTB_TIMEDELTA"] = "true"  # PTB's own switch: durations as timedelta, which its next version always gives

"""`python -m bot`: the same as `timmy`."""

from bot.cli import main

main()

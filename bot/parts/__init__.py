"""The parts that the settings choose, each with what it needs. `bot.app` joins them."""

"""The hub's own sats: what they may be spent on, what they earn, and the daily report."""

"""Pages of the internet, and of nothing else: the one way in which the hub fetches what somebody else named (GUARANTEES)."""

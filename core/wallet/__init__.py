"""Books in millisatoshi: pure double entry, and the service that moves sats."""

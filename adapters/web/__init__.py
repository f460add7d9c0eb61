"""The hub over HTTP: the status page, health, metrics, and the stream of events."""

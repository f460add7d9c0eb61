"""Matrix as a chat surface, on matrix-nio: rooms without encryption so far. `events` reads, `content` writes, `surface` talks."""

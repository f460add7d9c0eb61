"""Matrix as a chat surface on matrix-nio: `events` reads, `content` writes, `surface` talks, `encryption` and `trust` mind keys."""

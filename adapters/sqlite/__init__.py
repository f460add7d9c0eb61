"""The hub's one database: a writer that groups commits, a unit of work, and the stores it carries."""

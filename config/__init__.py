"""Settings, logging and the roster of personas."""

"""The owner's own surface: a chat on the terminal, on a pipe, and through the Unix socket in the data folder."""

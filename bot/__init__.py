"""What starts: command line, composition root, slash commands."""

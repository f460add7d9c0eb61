"""Test suites of any project: how one is run, run so that nothing of it stays behind, what came of it, and what changes."""

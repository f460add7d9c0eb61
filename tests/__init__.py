"""Tests say what a user would notice."""

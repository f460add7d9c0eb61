"""Siri Shortcuts as a chat surface."""

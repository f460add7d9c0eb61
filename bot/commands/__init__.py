"""The slash commands, by group. Importing this package declares them all."""

from bot.commands import agent, hub, memory, money, people, schedule, swarm, time, work

__all__ = ["agent", "hub", "memory", "money", "people", "schedule", "swarm", "time", "work"]

"""Spark: what will become of a task, said before, and scored after."""

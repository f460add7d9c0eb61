"""The worker API from a worker's side."""

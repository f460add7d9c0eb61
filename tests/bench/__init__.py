"""The hub measured against its budgets: `make bench`, or `python -m tests.bench --only lives`."""

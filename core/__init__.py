"""What the hub does: rules and services, no I/O."""

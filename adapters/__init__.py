"""How the hub reaches the world; each folder one thing."""

"""MCP both ways: `server` is the hub in somebody else's client, the rest are servers whose tools the agent calls (ADR 0035)."""

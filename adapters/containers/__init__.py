"""Docker behind two ports: `engine` for agents that stay, `box` for one program of a model (ADR 0027, ADR 0036)."""

"""Language models behind `core.agent.model.Model`."""

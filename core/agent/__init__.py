"""The local agent and the work of personas, behind ports for models and skills."""

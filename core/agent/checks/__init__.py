"""What a result of a model is held to before it is delivered, by field (ADR 0038). `catalogue` names them all."""

"""Redis between the hub and its gateways (ADR 0028). Only imported where TIMMY_REDIS_URL is set."""

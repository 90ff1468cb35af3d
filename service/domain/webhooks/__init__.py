"""Webhooks: events that the service sends to addresses of its users, signed as Standard Webhooks asks."""

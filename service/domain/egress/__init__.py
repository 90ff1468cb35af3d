"""Outgoing calls: recorded without content, and old records deleted."""

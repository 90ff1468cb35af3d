"""Queries by noun: functions take a Session first, flush, and never commit; the caller does."""

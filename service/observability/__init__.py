"""Logs, request ids, metrics and the dashboard."""

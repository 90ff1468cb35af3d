"""Stored scans: create, read, list, delete."""

"""Stored scans."""

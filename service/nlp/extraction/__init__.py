"""Bytes to text with blocks and pages: one file per format, and the sandbox they run in."""

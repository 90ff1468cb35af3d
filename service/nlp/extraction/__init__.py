"""Bytes to text with blocks and pages: one file for each format, and the sandbox that they run in."""

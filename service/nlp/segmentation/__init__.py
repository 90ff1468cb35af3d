"""Blocks of text to sentences with character spans."""

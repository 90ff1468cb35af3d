"""Splits blocks of text into sentences with character spans."""

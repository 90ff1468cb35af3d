"""Batches: documents that workers scan in the background."""

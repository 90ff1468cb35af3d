"""Riskscan: says which sentences of a document state a risk, of which type, and where."""

__version__ = "0.1.0"

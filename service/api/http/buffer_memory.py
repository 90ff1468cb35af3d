"""The key in the WSGI environment under which the application tells the server whose request it is."""

USER_KEY = "riskscan.user_id"
"""Holds the user's id; the server counts a large response against that user's share of memory."""

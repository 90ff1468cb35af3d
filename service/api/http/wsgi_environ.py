"""Keys of the WSGI environment through which the application passes values to the server."""

USER_ID_KEY = "riskscan.user_id"
"""The user's id; the server counts a large response against this user's share of memory."""
ON_DISK_KEY = "riskscan.on_disk"
"""True if the response is sent from a file on disk, so that it needs no memory."""

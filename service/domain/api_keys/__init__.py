"""API keys: their text, their owners' use cases, and authentication with them."""

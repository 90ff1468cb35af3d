"""Settings: read once from the environment and .env, then frozen. Imports only errors."""

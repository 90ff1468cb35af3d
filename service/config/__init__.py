"""Settings, read once from the environment and .env. Imports errors only."""

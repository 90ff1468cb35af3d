"""Settings that users choose for themselves."""

"""The Analyzer interface, its implementations, and the pool that lends them."""

"""Small real servers on the loopback address, for analyzers that talk to other services."""

"""The HTTP process: listener, connections, admission control, graceful drain, sidecar, start-up."""

"""Small working stand-ins: servers on loopback, engines, analyzers."""

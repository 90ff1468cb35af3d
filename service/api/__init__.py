"""The HTTP API: one file per URL noun. These files do not import each other."""

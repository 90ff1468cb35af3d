"""One file per step of `python -m ml`."""

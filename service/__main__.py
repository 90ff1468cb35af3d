"""`python -m service`: serve; with a command, run that (see cli.py)."""

from __future__ import annotations

from service.cli.main import main

if __name__ == "__main__":
    main()

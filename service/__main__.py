"""`python -m service [COMMAND]`: serves HTTP, or runs a command of service/cli/."""

from __future__ import annotations

from service.cli.main import main

if __name__ == "__main__":
    main()

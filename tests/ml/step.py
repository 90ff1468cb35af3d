"""Run a step of `python -m ml` in this process."""

from click.testing import CliRunner, Result

from ml.__main__ import main


def run_step(*arguments) -> Result:
    """Return exit status and output of `python -m ml ARGUMENTS`; unexpected errors propagate."""
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)

"""Some test runs each command that ml/README.md names."""

import re

from service.config.settings import ROOT
from tests.e2e.test_retraining import OTHER_COMMANDS

OF_MAKE_RETRAIN = {"dataset", "train", "export", "calibrate", "evaluate", "register"}


def named(text):
    return set(re.findall(r"-m ml ([a-z-]+)", text))


def test_each_command_of_the_readme_is_run_by_a_test():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    as_steps = set(re.findall(r'run_step\(\s*"([a-z-]+)"', "".join(sources)))
    run = OF_MAKE_RETRAIN | named(" ".join(OTHER_COMMANDS.values())) | as_steps
    assert named((ROOT / "ml/README.md").read_text(encoding="utf-8")) - run == set()

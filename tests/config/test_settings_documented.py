"""Every setting stands in .env.example with its help and its default."""

from pathlib import Path

import pytest

from service.config.settings import SETTINGS, load

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
SERVICE_PART, _COMPOSE_PART = EXAMPLE.read_text(encoding="utf-8").split("\n# Only compose reads", 1)
LINES = SERVICE_PART.splitlines()


def assignments():
    """The example's settings as if every line were taken into use."""
    pairs = (line.removeprefix("#").split("=", 1) for line in LINES if "=" in line.split(" ")[0])
    return {name: value.strip('"') for name, value in pairs}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_setting_is_in_the_example_with_help_and_default(setting):
    assert assignments()[setting.name] == setting.default
    assert f"# {setting.help}" in LINES


def test_example_names_no_setting_that_is_gone():
    assert set(assignments()) == {setting.name for setting in SETTINGS}


def test_example_taken_whole_is_usable():
    assert load(assignments()) == load({})

"""The generated reference pages in the repository agree with the code."""

import pytest

from service.cli import documentation
from service.config.settings import NAMES, ROOT, load


@pytest.mark.parametrize(("path", "text"), documentation.pages().items())
def test_generated_page_agrees_with_the_code(path, text):
    assert (ROOT / path).read_text(encoding="utf-8") == text, "run `make docs`"


def test_example_with_every_line_enabled_equals_the_defaults():
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    pairs = (line.removeprefix("#").split("=", 1) for line in lines if line[1:2].isupper())
    example = {name: value.strip('"') for name, value in pairs}
    assert set(example) > set(NAMES)
    assert load(example) == load({})

"""The generated reference pages in the repository agree with the code."""

import pytest

from service.config import documentation
from service.config.settings import ROOT


@pytest.mark.parametrize(("path", "text"), documentation.pages().items())
def test_generated_page_agrees_with_the_code(path, text):
    assert (ROOT / path).read_text(encoding="utf-8") == text, "run `make docs`"

"""Fields in Chromium are wide enough for their own hints."""

import pytest

from tests.web.actions import sign_up


@pytest.mark.parametrize(
    ("path", "field"), [("search", "q"), ("webhooks", "url"), ("sessions", "name")]
)
def test_field_shows_its_whole_hint(live, new_page, path, field):
    page = new_page(viewport={"width": 1280, "height": 800})
    sign_up(page, live.url)
    page.goto(f"{live.url}/{path}")
    is_whole = page.locator(f"#{field}").evaluate(
        """field => {
            const style = getComputedStyle(field);
            const pen = document.createElement("canvas").getContext("2d");
            pen.font = style.font;
            const room = field.clientWidth - 2 * parseFloat(style.paddingLeft);
            return pen.measureText(field.placeholder).width <= room;
        }"""
    )
    assert is_whole


@pytest.mark.parametrize("path", ["sessions", "batches"])
def test_empty_list_has_the_width_of_the_page(live, new_page, path):
    page = new_page(viewport={"width": 1280, "height": 800})
    sign_up(page, live.url)
    page.goto(f"{live.url}/{path}")
    empty = page.locator(f"#no-{path}")
    empty.wait_for()
    assert empty.bounding_box()["width"] > 1000

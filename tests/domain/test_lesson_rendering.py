"""The HTML of lessons contains nothing that runs, whatever the Markdown says."""

from types import SimpleNamespace
from uuid import UUID

import pytest
from lxml import html

from service.domain.courses.rendering import render

COURSE, FILE = UUID(int=1), UUID(int=2)
MAP = SimpleNamespace(id=FILE, course_id=COURSE, name="map.png", media_type="image/png")
ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html,<script>1</script>)",
    "![x](javascript:alert(1))",
    "![x](//evil.example/a.png)",
    "![x](/api/v1/auth/me)",
    '![x" onerror="alert(1)](map.png "t\\" onerror=alert(1)")',
    "<https://example.com/\"onmouseover='alert(1)'>",
    "```<script>\nalert(1)\n```",
    "[a]: javascript:alert(1)\n\n[a]",
    "<details open ontoggle=alert(1)>",
    "| <b> |\n|-|\n| <iframe src=//x> |",
    "\x00<script\x00>alert(1)</script>",
]
ATTRIBUTES = {"href", "title", "rel", "src", "alt", "start"}


@pytest.mark.parametrize("source", ATTACKS)
def test_attack_leaves_only_harmless_elements(source):
    rendered = html.fragment_fromstring(render(source, [MAP]), create_parent=True)
    for element in rendered.iterdescendants():
        assert element.tag in {
            "p",
            "a",
            "img",
            "pre",
            "code",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
        }
        assert set(element.attrib) <= ATTRIBUTES
        assert element.get("src", "/api/v1/courses/").startswith("/api/v1/courses/")
        assert not element.get("href", "").lower().startswith(("javascript", "data", "vbscript"))


def test_files_resolve_by_name_and_headings_move_down():
    shown = render("# One\n\n###### Six\n\n![Map](map.png) [m](map.png) [o](other)", [MAP])
    path = f"/api/v1/courses/{COURSE}/files/{FILE}/content"
    assert "<h2>One</h2>" in shown
    assert "<h6>Six</h6>" in shown
    assert f'<img src="{path}" alt="Map">' in shown
    assert f'<a href="{path}" rel="noopener noreferrer">m</a>' in shown
    assert 'href="other"' in shown

"""Renders the Markdown of lessons to HTML that is safe to show, whoever wrote it.

Two libraries stand between an author and a reader: markdown-it-py without HTML, and nh3 with a list of the
few elements and attributes that it may return. No image comes from elsewhere: it must name a file of the
course.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import unquote
from uuid import UUID

import nh3
from markdown_it.token import Token

from db.tables import CourseFile
from service.domain.markdown import parser

_TAGS = {
    *("p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code"),
    *("em", "strong", "s", "a", "img", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto"}
_N_CACHED = 100
"""Lessons whose HTML a process keeps."""


def content_path(course_id: UUID, file_id: UUID) -> str:
    """Return the path from which a file of a course is downloaded."""
    return f"/api/v1/courses/{course_id}/files/{file_id}/content"


def render(source: str, files: Sequence[CourseFile]) -> str:
    """Return the HTML of a lesson; `files` are those of its course.

    Links and images that name a file lead to it. An image that names none becomes its alternative text. A
    first-order heading becomes a second-order one, since the page's title is above it.
    """
    paths = [(file.name, content_path(file.course_id, file.id)) for file in files]
    images = frozenset(file.name for file in files if file.media_type.startswith("image/"))
    return _rendered(source, tuple(paths), images)


@lru_cache(maxsize=_N_CACHED)
def _rendered(source: str, files: tuple[tuple[str, str], ...], images: frozenset[str]) -> str:
    """Return the HTML; kept, since many learners read the same lesson."""
    paths = dict(files)
    markdown = parser()
    tokens = markdown.parse(source)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
        for part in token.children or ():
            _resolve(part, paths, images)
    allowed = set(paths.values())

    def kept(tag: str, attribute: str, value: str) -> str | None:
        is_foreign = tag == "img" and attribute == "src" and value not in allowed
        return None if is_foreign else value

    return nh3.clean(
        markdown.renderer.render(tokens, markdown.options, {}),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=kept,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer",
    )


def _resolve(token: Token, paths: Mapping[str, str], images: frozenset[str]) -> None:
    attribute = {"image": "src", "link_open": "href"}.get(token.type)
    if attribute is None:
        return
    name = unquote(str(token.attrs.get(attribute, "")))
    if (token.type == "link_open" and name in paths) or (token.type == "image" and name in images):
        token.attrs[attribute] = paths[name]
    elif token.type == "image":
        token.type, token.tag, token.attrs, token.children = "text", "", {}, None

"""Reads PowerPoint presentations slide by slide, as a stream.

Read: the text of every slide in the order of the presentation, hidden slides included; tables, diagrams,
charts' titles, categories and names of series, descriptions of pictures, speaker notes, comments.
Not read: masters and layouts, numbers of charts, embedded files, sound and film. Each slide is a part,
"Slide 1" and so on.
"""

from __future__ import annotations

from lxml import etree  # type: ignore[import-untyped]  # ships no types

from service.nlp.extraction.drawing_text import (
    add_drawing,
    add_words,
    description,
    drawn_paragraph,
)
from service.nlp.extraction.office_package import (
    OfficePackage,
    clear,
    local,
    main_part,
    opened,
    relationship_id,
)
from service.nlp.extraction.tables import Table
from service.nlp.extraction.text_builder import TextBuilder

_PRESENTATION = "ppt/presentation.xml"
_MISSING = "The presentation lacks this slide. Open it in its program, save it again and send the new file."
_DRAWN = ("diagramData", "chart", "chartEx", "notesSlide")


def read_pptx(data: bytes, builder: TextBuilder) -> None:
    """Add the slides of a presentation, each as a part.

    Raises:
        TooLarge: it inflates beyond its budget, or has too many slides.
        UnreadableDocument: it is encrypted or damaged.
    """
    with opened(data, title="PowerPoint presentation", inflation=builder.inflation) as package:
        for number, name in enumerate(_slides(package), start=1):
            whole_name = builder.part_name(f"Slide {number}")
            if not name:
                builder.begin_part(whole_name, problem=_MISSING)
                continue
            builder.begin_part(whole_name)
            _add_slide(package, name, builder)
            for drawn in package.targets(name, *_DRAWN):
                add_drawing(package, drawn, builder)
            for comments in package.targets(name, "comments"):
                _add_comments(package, comments, builder)


def _slides(package: OfficePackage) -> list[str]:
    """Return the parts of the slides in the order of the presentation, each once; "" for a missing one."""
    main = main_part(package, _PRESENTATION)
    related = package.relationships(main)
    slides: list[str] = []
    names: set[str] = set()
    for element in package.ended(main, "{*}sldId"):
        key = relationship_id(element)
        name = related[key].target if key in related else ""
        if name not in names:
            slides.append(name)
        names |= {name} - {""}
    return slides


def _add_slide(package: OfficePackage, name: str, builder: TextBuilder) -> None:
    table: Table | None = None
    in_table = 0
    for event, element in package.events(name, "{*}p", "{*}tbl", "{*}tr", "{*}cNvPr"):
        tag = local(element)
        if tag == "tbl":
            in_table += 1 if event == "start" else -1
            table = Table(builder)
        elif event == "start":
            continue
        elif tag == "tr" and table is not None:
            table.add_filled(enumerate(map(_cell_text, element.iterchildren("{*}tc"))))
            clear(element)
        elif tag == "cNvPr":
            add_words(description(element), builder)
        elif tag == "p" and not in_table:
            add_words(drawn_paragraph(element), builder)
            element.clear()


def _cell_text(cell: etree._Element) -> str:
    """Return the paragraphs of a cell; a blank line between them keeps each a block."""
    return "\n\n".join(filter(None, map(drawn_paragraph, cell.iter("{*}p"))))


def _add_comments(package: OfficePackage, name: str, builder: TextBuilder) -> None:
    """Add comments as PowerPoint wrote them before 2021 (p:text) and since then (a:p)."""
    for element in package.ended(name, "{*}p", "{*}text"):
        is_plain = local(element) == "text"
        add_words((element.text or "").strip() if is_plain else drawn_paragraph(element), builder)
        element.clear()

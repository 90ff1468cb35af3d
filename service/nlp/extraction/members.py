"""Reads a file within another file: an attachment, or a file of an archive.

Each becomes a part. One that cannot be read becomes an empty part with a problem, and the others are read.
"""

from __future__ import annotations

from collections.abc import Callable

from service.errors import RiskscanError, TooLarge
from service.nlp.extraction.media_types import check_signature, detect_format
from service.nlp.extraction.sandbox_worker import load_reader
from service.nlp.extraction.text_builder import TextBuilder, label

MAX_DEPTH = 4
"""Most files around a file: a zip in an e-mail in a zip in a zip."""
_CONTAINERS = {"eml", "zip"}
_DAMAGED = "The file is damaged, or built to exhaust its reader."


def read_file(
    data: bytes,
    name: str,
    builder: TextBuilder,
    *,
    max_pages: int,
    media_type: str | None = None,
    charset: str | None = None,
) -> None:
    """Add a file in its own format; `name`, `media_type` and `charset` are what the container says.

    Raises:
        RiskscanError: the file cannot be read.
    """
    file_format = detect_format(data, filename=name, media_type=media_type)
    check_signature(file_format, data)
    if file_format.extension in _CONTAINERS:
        check_depth(builder)
    reader, options = file_format.call(charset=charset, max_pages=max_pages)
    load_reader(reader)(data, builder, **options)
    builder.end_line()


def add_member(name: str, builder: TextBuilder, read: Callable[[], None]) -> None:
    """Add what `read` adds as a part, or an empty part with the reason why it fails.

    Raises:
        TooLarge: the document as a whole exceeds a limit.
    """
    point = builder.checkpoint()
    at = len(builder.parts)
    whole_name = builder.part_name(name)
    builder.begin_part(whole_name, begins_file=True)
    builder.containers.append(label(name))
    try:
        read()
        is_empty = builder.is_empty_since(point, part=at)
        problem = "It holds no words." if is_empty else None
    except MemoryError:
        raise
    except Exception as error:  # a hostile file must not hide those beside it
        if builder.is_over_a_limit:
            raise
        problem = error.message if isinstance(error, RiskscanError) else _DAMAGED
    finally:
        builder.containers.pop()
    if problem is not None:
        builder.roll_back(point)
        builder.begin_part(whole_name, problem=problem, begins_file=True)
    else:
        builder.drop_part_if_empty(at)


def check_depth(builder: TextBuilder) -> None:
    """Raise TooLarge if the file that is being read is within too many others."""
    if len(builder.containers) > MAX_DEPTH:
        raise TooLarge(f"The file is within more than {MAX_DEPTH} other files, the limit.")

"""Cursors and pages as pure functions, without a service."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from service.api.http.pagination import decode_cursor, encode_cursor, split_page
from service.errors import InvalidRequest

ROW_ID = UUID(int=7)


@pytest.mark.parametrize("microsecond", [0, 1, 999_999])
def test_cursor_decoded_is_the_position_it_encodes(microsecond):
    created_at = datetime(2026, 11, 22, 14, 18, 44, microsecond, tzinfo=UTC)
    assert decode_cursor(encode_cursor(created_at, ROW_ID)) == (created_at, ROW_ID)


def test_cursor_of_another_time_zone_decodes_to_utc():
    created_at = datetime(2026, 11, 22, 14, tzinfo=timezone(timedelta(hours=2)))
    decoded, _ = decode_cursor(encode_cursor(created_at, ROW_ID))
    assert (decoded, decoded.tzinfo) == (created_at, UTC)


@pytest.mark.parametrize("cursor", ["x", "AAAA", "\u00e9", "MjAyNi0xMS0yMg==", "=" * 200])
def test_cursor_malformed_is_an_invalid_request(cursor):
    with pytest.raises(InvalidRequest) as error:
        decode_cursor(cursor)
    assert [fault.field for fault in error.value.faults] == ["cursor"]


@pytest.mark.parametrize(
    ("rows", "shown", "last"),
    [([], [], None), ([1], [1], None), ([1, 2], [1, 2], None), ([1, 2, 3], [1, 2], 2)],
)
def test_page_of_two_has_a_last_row_only_if_more_follow(rows, shown, last):
    assert split_page(rows, 2) == (shown, last)

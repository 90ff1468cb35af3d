"""The buffer for a request body."""

import pytest

from service.server.body_buffer import BodyBuffer


@pytest.mark.parametrize("size", [1, 1_000, 1 << 20, 5_000_000])
def test_read_after_appends_returns_the_same_bytes(size):
    body, data = BodyBuffer(), bytes(range(256)) * 12_000
    for start in range(0, len(data), 100_000):
        body.append(data[start : start + 100_000])
    assert len(body) == len(data)
    first = body.read(size)
    assert first + body.read() == data
    assert (body.read(), len(body)) == (b"", 0)

"""The memory that large bodies and answers share, and the buffer that a body lies in."""

import pytest

from service.api.http.buffer_memory import Budget
from service.server.body_buffer import BodyBuffer


def test_one_holder_gets_half_and_another_the_rest():
    budget = Budget(100)
    assert budget.take("a", 30)
    assert budget.take("a", 20)
    assert not budget.take("a", 1)
    assert budget.take("b", 50)
    assert not budget.take("c", 1)


def test_what_is_given_back_can_be_taken_again():
    budget = Budget(100)
    budget.take("a", 50)
    budget.give_back("a", 50)
    assert budget.take("a", 50)


def test_what_is_larger_than_all_fits_while_nothing_is_held():
    budget = Budget(100)
    assert budget.take("a", 1_000)
    assert not budget.take("b", 1)


@pytest.mark.parametrize("size", [1, 1_000, 1 << 20, 5_000_000])
def test_body_is_read_as_it_was_appended(size):
    body, data = BodyBuffer(), bytes(range(256)) * 12_000
    for start in range(0, len(data), 100_000):
        body.append(data[start : start + 100_000])
    assert len(body) == len(data)
    first = body.read(size)
    assert first + body.read() == data
    assert (body.read(), len(body)) == (b"", 0)

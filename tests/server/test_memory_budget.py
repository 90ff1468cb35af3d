"""The memory budget that large bodies and responses share between users."""

from service.server.memory_budget import MemoryBudget


def test_one_user_gets_at_most_half_and_others_the_rest():
    budget = MemoryBudget(100)
    assert budget.reserve("a", 30)
    assert budget.reserve("a", 20)
    assert not budget.reserve("a", 1)
    assert budget.reserve("b", 50)
    assert not budget.reserve("c", 1)


def test_released_memory_can_be_reserved_again():
    budget = MemoryBudget(100)
    budget.reserve("a", 50)
    budget.release("a", 50)
    assert budget.reserve("a", 50)


def test_reservation_above_the_whole_budget_fits_while_nothing_is_reserved():
    budget = MemoryBudget(100)
    assert budget.reserve("a", 1_000)
    assert not budget.reserve("b", 1)


def test_stream_may_grow_alone_but_not_beside_another_response_of_its_user():
    budget = MemoryBudget(100)
    assert budget.reserve("a", 40)
    assert budget.reserve("a", 100, held=40)
    budget.release("a", 100)
    assert not budget.reserve("a", 20, held=20)


def test_stream_may_not_grow_beyond_what_others_leave():
    budget = MemoryBudget(100)
    assert budget.reserve("a", 40)
    assert budget.reserve("b", 50)
    assert budget.reserve("a", 10, held=40)
    assert not budget.reserve("a", 1, held=50)

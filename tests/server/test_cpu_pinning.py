"""The CPUs of one of several processes."""

import pytest

from service.server.cpu_pinning import cpus_of_process


@pytest.mark.parametrize(
    ("cpus", "n", "expected"),
    [
        ([0, 1], 2, [[0], [1]]),
        ([0, 1], 4, [[0], [1], [0], [1]]),
        ([2, 3, 6, 7, 8], 2, [[2, 3, 6], [7, 8]]),
        ([5], 3, [[5], [5], [5]]),
        (list(range(8)), 3, [[0, 1, 2], [3, 4, 5], [6, 7]]),
    ],
)
def test_processes_divide_neighbouring_cpus(cpus, n, expected):
    assert [cpus_of_process(cpus, n, i) for i in range(n)] == expected

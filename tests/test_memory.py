"""Memory that large texts took goes back to the system, also where something small was made meanwhile."""

import platform
import subprocess
import sys

import pytest

# After a first large block is freed, glibc would keep those of 2 MB below the small one.
_PROGRAM = """
import psutil
from service.memory import give_back_large_blocks

{call}
own = psutil.Process()
first = bytearray(20 << 20)
del first
before = own.memory_info().rss
large = [bytearray(b"x") * (2 << 20) for _ in range(20)]
small = [bytearray(b"x") * 5_000 for _ in range(100)]
large.clear()
print(own.memory_info().rss - before)
"""


def kept_mb(call):
    program = [sys.executable, "-c", _PROGRAM.format(call=call)]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    return int(done.stdout) / 1e6


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting"
)
def test_large_blocks_go_back_to_the_system():
    assert kept_mb("give_back_large_blocks()") < 5
    assert kept_mb("") > 30

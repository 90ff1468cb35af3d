"""The memory of large texts returns to the system, even if small objects were created meanwhile."""

import platform
import subprocess
import sys

import pytest

# After a first large block is freed, glibc would keep those of 2 MB below the small one.
PROGRAM = """
import psutil
from service.server.memory import give_back_large_blocks

give_back_large_blocks()
own = psutil.Process()
first = bytearray(20 << 20)
del first
before = own.memory_info().rss
large = [bytearray(b"x") * (2 << 20) for _ in range(20)]
small = [bytearray(b"x") * 5_000 for _ in range(100)]
large.clear()
print(own.memory_info().rss - before)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting"
)
def test_large_blocks_go_back_to_the_system():
    program = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 5_000_000  # 40 MB stay without the call

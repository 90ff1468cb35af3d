# ruff: noqa: INP001 - Python finds this file by PYTHONPATH, in no package
"""Python runs this as it starts. It hides torch, as in the environment that serves on CPUs.

spaCy imports torch where it is installed, which takes more processor time than the rest of the start.
"""

import sys

sys.modules["torch"] = None  # an import of it fails

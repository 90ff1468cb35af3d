"""Replaces the sandbox's worker as if a document had taken it over: it runs any code."""

from __future__ import annotations

import json
import resource
import sys

from service.nlp.extraction.text_builder import TextBuilder


def main() -> None:
    """Run the job's option `code` without any limits."""
    exec(json.loads(sys.argv[1])["options"]["code"])


def report_limits(_data: bytes, builder: TextBuilder) -> None:
    """Extract, instead of a document, the kernel's limits on this process as JSON."""
    names = (
        "RLIMIT_AS",
        "RLIMIT_CPU",
        "RLIMIT_FSIZE",
        "RLIMIT_CORE",
        "RLIMIT_NOFILE",
        "RLIMIT_NPROC",
    )
    limits = {name: resource.getrlimit(getattr(resource, name))[1] for name in names}
    builder.add(json.dumps(limits))

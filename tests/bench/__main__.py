"""`python -m tests.bench [NAME ...]`: run the named benchmarks of the service, or all."""

import pytest

from tests.bench import (
    analyzer,
    bulk,
    engine,
    limit_cost,
    linear_cost,
    listing,
    memory,
    over_http,
    page,
    reports,
    scan_cost,
    search,
    start,
    under_load,
)
from tests.bench.options import argument_parser, options_from
from tests.bench.servers import end_with_the_benchmark

BENCHMARKS = {
    "engine": engine.run,
    "analyzer": analyzer.run,
    "over-http": over_http.run,
    "linear-cost": linear_cost.run,
    "bulk": bulk.run,
    "memory": memory.run,
    "start": start.run,
    "listing": listing.run,
    "page": page.run,
    "limit-cost": limit_cost.run,
    "scan-cost": scan_cost.run,
    "search": search.run,
    "reports": reports.run,
    "under-load": under_load.run,
}


def main(arguments=None):
    """Run the named benchmarks and publish their results."""
    parser = argument_parser("Measure the service.")
    parser.add_argument(
        "names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME", help=", ".join(BENCHMARKS)
    )
    parsed = parser.parse_args(arguments)
    options = options_from(parsed)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in parsed.names or BENCHMARKS:
        try:
            BENCHMARKS[name](options).publish(options)
        except pytest.skip.Exception as skip:  # tests.support.databases names the missing server
            print(f"\n## {name}\n\nNot measured: {skip}")


if __name__ == "__main__":
    end_with_the_benchmark()
    main()

"""`python -m tests.bench [NAME ...]`: measures the service in the ways named, or in all."""

import pytest

from tests.bench import analyzer, engine, linear_cost, listing, memory, over_http, start, under_load
from tests.bench.options import options_of, parser
from tests.bench.servers import end_with_the_benchmark

BENCHMARKS = {
    "engine": engine.run,
    "analyzer": analyzer.run,
    "over-http": over_http.run,
    "linear-cost": linear_cost.run,
    "memory": memory.run,
    "start": start.run,
    "listing": listing.run,
    "under-load": under_load.run,
}


def main(arguments=None):
    """Run the named benchmarks and publish what each found."""
    reader = parser("Measure the service.")
    reader.add_argument(
        "names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME", help=", ".join(BENCHMARKS)
    )
    given = reader.parse_args(arguments)
    options = options_of(given)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in given.names or BENCHMARKS:
        try:
            BENCHMARKS[name](options).publish(options)
        except (
            pytest.skip.Exception
        ) as absent:  # tests.support.databases says which server is not there
            print(f"\n## {name}\n\nNot measured: {absent}")


if __name__ == "__main__":
    end_with_the_benchmark()
    main()

"""`python -m tests.support.ray_cluster`: a Ray cluster of two nodes with a core each, on loopback.

Prints its address and what else its clients need as JSON, and stops it at the end of standard input.
"""

import json
import os
import sys

ENVIRONMENT = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}


def main():
    """Start the nodes, wait, stop them."""
    os.environ.update(ENVIRONMENT)  # Ray reads it when it is imported
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    node = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        cluster.add_node(**node)
        ours = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
        print(json.dumps({**ours, "RAY_ADDRESS": cluster.address}), flush=True)
        sys.stdin.read()
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()

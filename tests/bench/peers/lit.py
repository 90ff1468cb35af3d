"""The LitServe peer: batches of requests for one or more worker processes.

python -m tests.bench.peers.lit
"""

import os

import litserve

from tests.bench.peers.classifier import from_environment


class ClassifierAPI(litserve.LitAPI):
    """A request is a list of texts; a batch is a list of requests."""

    def setup(self, device):  # noqa: ARG002 - LitServe's name for it
        """Load the classifier into a worker."""
        self._classify = from_environment()

    def decode_request(self, request):
        """Return the texts of a request."""
        return request["texts"]

    def batch(self, inputs):
        """Leave the requests as they are."""
        return inputs

    def predict(self, requests):
        """Classify the texts of all requests together."""
        answers = iter(self._classify([text for texts in requests for text in texts]))
        return [[next(answers) for _ in texts] for texts in requests]

    def unbatch(self, output):
        """Leave the answers as they are."""
        return output

    def encode_response(self, output):
        """Return a request's answer."""
        return {"data": output}


if __name__ == "__main__":
    api = ClassifierAPI(
        max_batch_size=int(os.environ["REQUESTS"]),
        batch_timeout=float(os.environ["BATCH_TIMEOUT_S"]),
    )
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=int(os.environ["WORKERS"]),
        timeout=600,
        fast_queue=os.environ["FAST_QUEUE"] == "1",
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        generate_client_file=False,
        log_level="warning",
    )

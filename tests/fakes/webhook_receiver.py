"""A receiver of webhooks on loopback, which checks signatures with the library of the specification."""

from standardwebhooks import Webhook

from tests.fakes.loopback import LoopbackServer


class WebhookReceiver(LoopbackServer):
    """Keeps each request: its headers and its body as text."""

    path = "/hook"

    @property
    def hook(self):
        return f"{self.url}{self.path}"

    def read(self, headers, body):
        del headers
        return body.decode()

    def answer(self, request):
        return {"length": len(request)}

    def events(self, secret):
        """Return every event that arrived, as message id and content; each must be signed."""
        return [
            (headers["webhook-id"], Webhook(secret).verify(body, headers))
            for headers, body in self.requests
        ]

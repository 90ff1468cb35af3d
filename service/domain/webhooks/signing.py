"""Secrets and signatures of webhooks, by the Standard Webhooks specification (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from standardwebhooks import Webhook as Signer

from db.tables import Webhook, WebhookDelivery


class WebhookSecrets:
    """Derives the secret of each webhook from SECRET_KEY, so that the database holds none."""

    def __init__(self, secret_key: str) -> None:
        self._key = secret_key.encode()

    def secret(self, webhook_id: UUID, number: int) -> str:
        """Return the secret with this number, counted from 1: `whsec_` and 32 bytes in base64."""
        message = f"webhook {webhook_id} {number}".encode()
        digest = hmac.digest(self._key, message, hashlib.sha256)
        return f"whsec_{base64.b64encode(digest).decode()}"

    def headers(self, webhook: Webhook, delivery: WebhookDelivery) -> Mapping[str, str]:
        """Return the headers that identify and sign a delivery that is sent now.

        For a day after a rotation there are two signatures, the new secret's first.
        """
        now = datetime.now(UTC)
        numbers = [webhook.secret_number]
        if webhook.old_secret_until is not None and webhook.old_secret_until > now:
            numbers.append(webhook.secret_number - 1)
        message_id = f"msg_{delivery.id.hex}"
        signatures = (
            Signer(self.secret(webhook.id, number)).sign(message_id, now, delivery.payload)
            for number in numbers
        )
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

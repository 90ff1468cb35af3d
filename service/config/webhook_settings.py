"""Settings of webhooks."""

from __future__ import annotations

from pydantic import BaseModel, Field

from service.config.field_types import Networks


class WebhookSettings(BaseModel):
    webhook_networks: Networks = Field(
        (),
        description="Private networks that webhooks may reach, such as 10.0.0.0/8, separated by commas; "
        "http:// addresses are allowed there. Empty: public addresses over https:// only.",
    )
    max_webhooks: int = Field(
        10,
        ge=0,
        le=1000,
        description="Maximum number of webhooks of one user. 0: nobody can add one.",
    )
    webhook_delivery_days: int = Field(
        30, ge=1, le=3650, description="Days after which an ended delivery is deleted."
    )

"""Settings of the LLM that force_llm asks."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from service.config.field_types import Names, Secret, ServiceUrl, Text


class LlmSettings(BaseModel):
    llm: Literal["on", "off"] = Field(
        "on", description="off: nothing is ever sent to an LLM, whatever else is set."
    )
    llm_base_url: ServiceUrl = Field(
        "",
        description="OpenAI-compatible server for force_llm, such as http://localhost:8080/v1.",
    )
    llm_api_key: Secret = Field("", description="API key that the service sends to LLM_BASE_URL.")
    llm_model: Text = Field("", description="Name of the model on LLM_BASE_URL.")
    llm_request_mode: Literal["json_schema", "json_object", "text"] = Field(
        "json_schema",
        description="How requests constrain the LLM's answer: json_schema, json_object with the "
        "schema in the prompt, or text without a constraint.",
    )

    llm_roles: Names = Field(
        (),
        description="Roles whose accounts may set force_llm, separated by commas. Empty: all.",
    )
    llm_daily_tokens: int = Field(
        0,
        ge=0,
        le=2**53,
        description="Maximum number of tokens, of prompts and answers, for each user on a day (UTC). 0: "
        "no limit.",
    )
    llm_mask: Literal["on", "off"] = Field(
        "off",
        description="Whether e-mail addresses, phone numbers and IBANs are masked in what the LLM gets.",
    )
    egress_hosts: Names = Field(
        (),
        description="Hosts that LLM_BASE_URL, AI_SERVICE_URL, OIDC_ISSUER, INDEXER_URL and webhooks may "
        "name, separated by commas. Empty: any.",
    )

    @field_validator("egress_hosts")
    @classmethod
    def _require_listed_hosts(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for name in ("llm_base_url", "ai_service_url", "oidc_issuer", "indexer_url"):
            host = urlsplit(info.data.get(name) or "").hostname
            if value and host and host not in value:
                raise ValueError(f"does not list {host}, the host of {name.upper()}")
        return value

    @field_validator("llm_model")
    @classmethod
    def _require_with_llm(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("llm_base_url"):
            raise ValueError("is missing; LLM_BASE_URL needs it")
        return value

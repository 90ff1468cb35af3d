"""Settings of the LLM that force_llm asks."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from service.config.field_types import Secret, ServiceUrl, Text


class LlmSettings(BaseModel):
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

    @field_validator("llm_model")
    @classmethod
    def _require_with_llm(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("llm_base_url"):
            raise ValueError("is missing; LLM_BASE_URL needs it")
        return value

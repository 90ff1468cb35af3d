"""What a user has used of the LLM."""

from __future__ import annotations

from apiflask import Schema
from apiflask.fields import Boolean, Date, Integer


class LlmUsageOut(Schema):
    is_allowed = Boolean(
        required=True, metadata={"description": "Whether the caller may set force_llm."}
    )
    day = Date(required=True, metadata={"description": "Today, in UTC."})
    used = Integer(
        required=True, metadata={"description": "Tokens of prompts and answers; 0 without a limit."}
    )
    limit = Integer(required=True, metadata={"description": "LLM_DAILY_TOKENS; 0: no limit."})
    remaining = Integer(required=True, allow_none=True)

"""Settings of accounts, keys and rate limits."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from service.config.field_types import Rate, RateLimitStorage, RedisUrl, SigningKey
from service.config.validation import required_in_production


class AccountSettings(BaseModel):
    secret_key: SigningKey = Field(
        "",
        description="Key that signs refresh tokens, API keys, links to reports and passwords, and exported "
        "audit seals, and derives the secrets of webhooks and the pseudonyms in exported feedback; at least "
        "32 characters. With a new key all of these end or change.",
    )
    jwt_secret: SigningKey = Field(
        "", description="Key that signs access tokens; at least 32 characters."
    )
    jwt_algorithm: Literal["HS256"] = Field(
        "HS256", description="Signature algorithm of access tokens. Fixed."
    )
    access_token_expire_minutes: int = Field(
        30, ge=1, le=1440, description="Lifetime of an access token in minutes."
    )
    refresh_token_expire_days: int = Field(
        14, ge=1, le=365, description="Lifetime of a refresh token in days."
    )
    password_link_expire_hours: int = Field(
        72,
        ge=1,
        le=720,
        description="Lifetime in hours of an invitation, and of a link to reset a password.",
    )
    registration: Literal["open", "closed"] = Field(
        default_factory=lambda data: "closed" if data["riskscan_env"] == "production" else "open",
        description="Who may create accounts. open: anyone; closed: only operators. Empty: closed "
        "in production, open in development.",
    )
    min_password_length: int = Field(
        7, ge=1, le=128, description="Minimum length of a new password in characters."
    )
    max_api_keys: int = Field(
        50,
        ge=1,
        le=10_000,
        description="Maximum number of API keys of one user, expired ones included.",
    )
    login_rate_limit: Rate = Field(
        "20 per minute",
        description="Maximum rate of log-ins and registrations per client address, and of password"
        " changes and new API keys per user. Empty: no limit.",
    )
    scan_rate_limit: Rate = Field(
        "", description='Maximum rate of scans per user, such as "10 per minute". Empty: no limit.'
    )
    user_rate_limit: Rate = Field(
        "",
        description='Maximum rate of requests per user, such as "600 per minute". Empty: no limit.',
    )
    key_rate_limit: Rate = Field(
        "", description="Maximum rate of requests per API key. Empty: no limit."
    )
    address_rate_limit: Rate = Field(
        "",
        description="Maximum rate of requests per client address, those without an account included. "
        "Empty: no limit.",
    )
    redis_url: RedisUrl = Field(
        "",
        description="Redis that all processes share, such as redis://:password@host:6379/0: for rate limits, "
        "and for a cache of responses, which quote documents. Empty: none.",
    )
    rate_limit_storage_url: RateLimitStorage = Field(
        default_factory=lambda data: data.get("redis_url") or "memory://",
        description="Where the service counts calls for rate limits. memory://: in each process "
        "separately; redis://host:6379/0: for all replicas together, and separately while Redis is "
        "unavailable. Empty: in REDIS_URL if it is set.",
    )

    @field_validator("secret_key", "jwt_secret")
    @classmethod
    def _require_keys(cls, value: str, info: ValidationInfo) -> str:
        return required_in_production(value, info)

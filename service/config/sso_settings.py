"""Settings of single sign-on by OpenID Connect."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, field_validator

from service.config.field_types import Secret, ServiceUrl, Text

MAX_ISSUER_CHARS = 255
ROLE_NAMES = ("user", "team-reviewer", "reviewer", "instructor", "analyst", "auditor", "admin")
"""The roles; config cannot import them from the database's tables. A test compares the two."""


def is_protected(url: str) -> bool:
    """Return whether an address is https, or http on this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:  # malformed
        return False
    host = parts.hostname or ""
    if parts.scheme == "https":
        return bool(host)
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    return parts.scheme == "http" and is_loopback


def _issuer(value: str) -> str:
    if value and not is_protected(value):
        raise ValueError("must be an https:// address; http:// is allowed on this machine only")
    if len(value) > MAX_ISSUER_CHARS:
        raise ValueError(f"must have at most {MAX_ISSUER_CHARS} characters")
    return value


def _role_map(value: str) -> str:
    for entry in filter(None, value.split(",")):
        name, _, role = entry.rpartition("=")
        if not name.strip() or role.strip() not in ROLE_NAMES:
            raise ValueError("must read like riskscan-admins=admin,riskscan-reviewers=reviewer")
    return value


class SsoSettings(BaseModel):
    oidc_issuer: Annotated[ServiceUrl, AfterValidator(_issuer)] = Field(
        "",
        description="Issuer of the OpenID Connect provider, such as https://id.example.com/realms/main. "
        "Empty: no single sign-on.",
    )
    oidc_client_id: Text = Field(
        "", description="Client id under which the provider knows this service."
    )
    oidc_client_secret: Secret = Field(
        "", description="Client secret at the provider. Empty for a public client."
    )
    oidc_scopes: Text = Field(
        "openid email profile", description="Scopes that the service requests."
    )
    oidc_role_claim: Text = Field(
        "",
        description="Claim of the ID token with the names of groups or roles. A dot leads into an object, "
        "as in realm_access.roles. Empty: administrators assign roles.",
    )
    oidc_role_map: Annotated[Text, AfterValidator(_role_map)] = Field(
        "",
        description="Role for each value of OIDC_ROLE_CLAIM, such as riskscan-admins=admin,"
        "riskscan-reviewers=reviewer. The strongest role wins; without a match it is user.",
    )
    oidc_team_claim: Text = Field(
        "",
        description="Claim of the ID token with the names of teams. Each log-in makes the account a "
        "member of those that exist here, and of no other. Empty: administrators form teams.",
    )
    oidc_unverified_email: Literal["refuse", "accept"] = Field(
        "refuse",
        description="accept: a first log-in creates an account though the provider does not send "
        "email_verified: true. For providers that never send it and let only administrators choose "
        "addresses.",
    )
    public_url: ServiceUrl = Field(
        "",
        description="Address under which browsers reach the service, such as https://risk.example.com. "
        "OIDC_ISSUER needs it.",
    )
    password_login: Literal["on", "off"] = Field(
        "on",
        description="off: people log in by single sign-on only, and no password works. API keys keep "
        "working. Needs OIDC_ISSUER.",
    )

    @field_validator("oidc_client_id", "public_url")
    @classmethod
    def _require_with_issuer(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("oidc_issuer"):
            raise ValueError("is missing; OIDC_ISSUER needs it")
        return value

    @field_validator("oidc_scopes")
    @classmethod
    def _require_openid(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("must contain openid")
        return value

    @field_validator("password_login")
    @classmethod
    def _require_issuer(cls, value: str, info: ValidationInfo) -> str:
        if value == "off" and not info.data.get("oidc_issuer"):
            raise ValueError("is off, which needs OIDC_ISSUER: nobody could log in")
        return value

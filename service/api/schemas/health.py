"""Liveness and readiness."""

from __future__ import annotations

from apiflask import Schema
from apiflask.fields import Dict, Float, String
from apiflask.validators import OneOf


class HealthOut(Schema):
    status = String(required=True)
    version = String(required=True)


class ReadyOut(Schema):
    status = String(required=True, validate=OneOf(["ready"]))
    checks = Dict(keys=String(), values=String(), required=True)
    age_s = Float(required=True)

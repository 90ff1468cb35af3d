"""Tables as typed classes, one file per noun; the migrations make them, and a test compares both."""

from db.tables.accounts import Login, RefreshToken, User
from db.tables.audit import AuditEvent
from db.tables.base import Base
from db.tables.deployments import Deployment, ShadowTotal
from db.tables.feedback import Feedback
from db.tables.scans import Finding, Scan
from db.tables.write_probe import WriteProbe

__all__ = [
    "AuditEvent",
    "Base",
    "Deployment",
    "Feedback",
    "Finding",
    "Login",
    "RefreshToken",
    "Scan",
    "ShadowTotal",
    "User",
    "WriteProbe",
]

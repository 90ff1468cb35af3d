"""Tables as typed classes, one file per noun. Migrations create them; a test compares the two."""

from db.tables.accounts import NO_PASSWORD, SSO_ONLY, AccountState, Login, RefreshToken, User
from db.tables.api_interactions import ApiInteraction, InteractionKind
from db.tables.api_keys import ApiKey, Scope
from db.tables.audit import AuditEvent, AuditSeal
from db.tables.base import Base
from db.tables.batches import (
    NEVER_SERVED,
    OPEN_STATES,
    Batch,
    BatchItem,
    BatchState,
    ItemState,
)
from db.tables.blocks import Block
from db.tables.courses import (
    Course,
    CourseFile,
    CourseFilePiece,
    CourseStatus,
    CourseTopic,
    Enrolment,
    EnrolmentSource,
    Lesson,
    LessonProgress,
    TopicKind,
)
from db.tables.deployments import Deployment, DeploymentKind, ShadowTotal
from db.tables.documents import Document, DocumentText, StoredText, TextLimit
from db.tables.drift import DriftCounts
from db.tables.feedback import Feedback, Verdict
from db.tables.files import File, WorkSession
from db.tables.identities import Identity
from db.tables.llm_usage import LlmUsage
from db.tables.report_logs import ReportLog
from db.tables.risks import Risk, RiskChange, RiskFinding, RiskNote, RiskState
from db.tables.roles import (
    ADMINISTRATORS,
    PERMISSIONS,
    REVIEWERS,
    ROLES,
    Permission,
    Role,
    may,
    roles_with,
)
from db.tables.samples import SampledSentence
from db.tables.scans import Finding, Scan, Source
from db.tables.search import (
    DERIVED,
    FTS5_TABLES,
    FULL_TEXT_INDEXES,
    FULL_TEXT_TABLES,
    SearchLesson,
    SearchOwner,
    SearchVectors,
    SearchWords,
)
from db.tables.settings import UserSettings
from db.tables.teams import DocumentShare, ScanShare, Team, TeamMember, WorkSessionShare
from db.tables.transaction_markers import TransactionMarker
from db.tables.webhooks import DeliveryState, Webhook, WebhookDelivery
from db.tables.write_probe import WriteProbe

__all__ = [
    "ADMINISTRATORS",
    "DERIVED",
    "FTS5_TABLES",
    "FULL_TEXT_INDEXES",
    "FULL_TEXT_TABLES",
    "NEVER_SERVED",
    "NO_PASSWORD",
    "OPEN_STATES",
    "PERMISSIONS",
    "REVIEWERS",
    "ROLES",
    "SSO_ONLY",
    "AccountState",
    "ApiInteraction",
    "ApiKey",
    "AuditEvent",
    "AuditSeal",
    "Base",
    "Batch",
    "BatchItem",
    "BatchState",
    "Block",
    "Course",
    "CourseFile",
    "CourseFilePiece",
    "CourseStatus",
    "CourseTopic",
    "DeliveryState",
    "Deployment",
    "DeploymentKind",
    "Document",
    "DocumentShare",
    "DocumentText",
    "DriftCounts",
    "Enrolment",
    "EnrolmentSource",
    "Feedback",
    "File",
    "Finding",
    "Identity",
    "InteractionKind",
    "ItemState",
    "Lesson",
    "LessonProgress",
    "LlmUsage",
    "Login",
    "Permission",
    "RefreshToken",
    "ReportLog",
    "Risk",
    "RiskChange",
    "RiskFinding",
    "RiskNote",
    "RiskState",
    "Role",
    "SampledSentence",
    "Scan",
    "ScanShare",
    "Scope",
    "SearchLesson",
    "SearchOwner",
    "SearchVectors",
    "SearchWords",
    "ShadowTotal",
    "Source",
    "StoredText",
    "Team",
    "TeamMember",
    "TextLimit",
    "TopicKind",
    "TransactionMarker",
    "User",
    "UserSettings",
    "Verdict",
    "Webhook",
    "WebhookDelivery",
    "WorkSession",
    "WorkSessionShare",
    "WriteProbe",
    "may",
    "roles_with",
]

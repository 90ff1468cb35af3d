"""The services about people: accounts, keys, limits, audit."""

from __future__ import annotations

from functools import cached_property

from service.domain.accounts.accounts import Accounts
from service.domain.accounts.password_links import PasswordLinks
from service.domain.accounts.single_sign_on import SingleSignOn
from service.domain.accounts.tokens import TokenMaker
from service.domain.api_keys.api_keys import ApiKeys
from service.domain.api_keys.key_text import KeyMaker
from service.domain.audit_seals import AuditSeals
from service.domain.blocks import Blocks
from service.domain.courses.cohort import Cohorts
from service.domain.courses.course_files import CourseFiles
from service.domain.courses.courses import Courses
from service.domain.courses.enrolments import Enrolments
from service.domain.courses.progress import Progress
from service.domain.foreign_reads import ForeignReads
from service.domain.limit_storage import LimitStorage
from service.domain.rate_limits import RateLimit
from service.domain.report_logs import ReportLogs
from service.domain.shared_services import SharedServices
from service.domain.teams.teams import Teams, set_teams
from service.domain.webhooks.addresses import Destinations
from service.domain.webhooks.sender import WebhookSender
from service.domain.webhooks.signing import WebhookSecrets
from service.domain.webhooks.webhooks import Webhooks


class PeopleServices(SharedServices):
    @cached_property
    def tokens(self) -> TokenMaker:
        return TokenMaker(self.signing_config)

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(
            self.config, self.transactions, self.tokens, limit_storage=self.limit_storage
        )

    @cached_property
    def password_links(self) -> PasswordLinks:
        return PasswordLinks(self.signing_config, self.transactions)

    @cached_property
    def single_sign_on(self) -> SingleSignOn:
        return SingleSignOn(
            self.config,
            self.transactions,
            self.tokens,
            set_teams=set_teams,
            observer=self.egress,
        )

    @cached_property
    def key_maker(self) -> KeyMaker:
        return KeyMaker(self.signing_config)

    @cached_property
    def api_keys(self) -> ApiKeys:
        max_keys = self.config.max_api_keys
        return ApiKeys(self.transactions, self.key_maker, max_keys=max_keys)

    @cached_property
    def limit_storage(self) -> LimitStorage:
        return LimitStorage(self.config.rate_limit_storage_url)

    @cached_property
    def login_quota(self) -> RateLimit:
        return self._quota(self.config.login_rate_limit, "LOGIN_RATE_LIMIT")

    @cached_property
    def user_quota(self) -> RateLimit:
        return self._quota(self.config.user_rate_limit, "USER_RATE_LIMIT")

    @cached_property
    def key_quota(self) -> RateLimit:
        return self._quota(self.config.key_rate_limit, "KEY_RATE_LIMIT")

    @cached_property
    def address_quota(self) -> RateLimit:
        return self._quota(self.config.address_rate_limit, "ADDRESS_RATE_LIMIT")

    @cached_property
    def blocks(self) -> Blocks:
        return Blocks(self.transactions)

    @cached_property
    def teams(self) -> Teams:
        return Teams(self.transactions)

    @cached_property
    def foreign_reads(self) -> ForeignReads:
        return ForeignReads(self.transactions)

    @cached_property
    def report_logs(self) -> ReportLogs:
        return ReportLogs(self.transactions)

    @cached_property
    def audit_seals(self) -> AuditSeals:
        return AuditSeals(self.signing_config, self.transactions)

    @cached_property
    def courses(self) -> Courses:
        return Courses(self.transactions)

    @cached_property
    def course_files(self) -> CourseFiles:
        return CourseFiles(self.transactions)

    @cached_property
    def enrolments(self) -> Enrolments:
        return Enrolments(self.transactions)

    @cached_property
    def progress(self) -> Progress:
        return Progress(self.transactions)

    @cached_property
    def cohorts(self) -> Cohorts:
        return Cohorts(self.transactions, self.report_logs)

    @cached_property
    def webhooks(self) -> Webhooks:
        return Webhooks(
            self.transactions,
            self.webhook_secrets,
            self.webhook_destinations,
            max_webhooks=self.config.max_webhooks,
        )

    @cached_property
    def webhook_sender(self) -> WebhookSender:
        return WebhookSender(self.transactions, self.webhook_secrets, self.webhook_destinations)

    @cached_property
    def webhook_secrets(self) -> WebhookSecrets:
        return WebhookSecrets(self.signing_config.secret_key)

    @cached_property
    def webhook_destinations(self) -> Destinations:
        return Destinations(self.config.webhook_networks, self.config.egress_hosts)

    def _quota(self, rate: str, setting: str) -> RateLimit:
        return RateLimit(rate, setting=setting, storage=self.limit_storage)

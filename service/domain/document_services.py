"""The services about documents: scans, files, originals, reviews."""

from __future__ import annotations

from functools import cached_property

from service.domain import originals
from service.domain.account_deletion import AccountDeletion
from service.domain.documents.scores import DocumentScores
from service.domain.file_scans import FileScans
from service.domain.files.files import FOLDER, Files
from service.domain.model_services import ModelServices
from service.domain.originals import Originals
from service.domain.people_services import PeopleServices
from service.domain.purge import Purge
from service.domain.rate_limits import RateLimit
from service.domain.reviews.export import FeedbackExport
from service.domain.reviews.reviews import Reviews
from service.domain.scans.scans import Scans
from service.domain.user_data import UserData
from service.nlp.pipeline import ScanPipeline, Submission


class DocumentServices(PeopleServices, ModelServices):
    @cached_property
    def pipeline(self) -> ScanPipeline:
        return ScanPipeline(self.config, self.analyzers, observer=self.observer)

    @cached_property
    def scan_quota(self) -> RateLimit:
        return self._quota(self.config.scan_rate_limit, "SCAN_RATE_LIMIT")

    @cached_property
    def scans(self) -> Scans:
        return Scans(
            self.transactions,
            self.pipeline,
            secret_key=self.signing_config.secret_key,
            store_text=self.config.store_text,
            sample_share=self.config.review_sample_share,
            observer=self.observer,
            keep_original=self.originals.keeping,
            report=self.scan_reporter.report,
        )

    @cached_property
    def files(self) -> Files:
        config = self.config
        return Files(
            self.transactions,
            config.data_dir / FOLDER,
            quota_bytes=config.user_quota_bytes,
            max_bytes=config.max_upload_bytes,
        )

    @cached_property
    def originals(self) -> Originals:
        folder = self.config.data_dir / originals.FOLDER
        return Originals(self.transactions, folder, quota_bytes=self.config.user_quota_bytes)

    @cached_property
    def document_scores(self) -> DocumentScores:
        timeout_s = self.config.ai_timeout_s
        return DocumentScores(self.transactions, lambda: self.pipeline, timeout_s=timeout_s)

    @cached_property
    def file_scans(self) -> FileScans:
        config = self.config
        return FileScans(
            self.files,
            lambda: self.scans,
            max_bytes=config.max_file_bytes,
            timeout_s=config.ai_timeout_s,
        )

    @cached_property
    def purge(self) -> Purge:
        days, data_dir = self.config.retention_days, self.config.data_dir
        return Purge(self.transactions, self.files, self.originals, days=days, data_dir=data_dir)

    @cached_property
    def user_data(self) -> UserData:
        return UserData(self.transactions, self.files, self.originals, self.report_logs)

    @cached_property
    def account_deletion(self) -> AccountDeletion:
        return AccountDeletion(self.transactions, self.files, self.originals)

    @cached_property
    def reviews(self) -> Reviews:
        return Reviews(self.transactions, self._extract_text)

    @cached_property
    def feedback_export(self) -> FeedbackExport:
        secret_key = self.signing_config.secret_key
        return FeedbackExport(self.transactions, self.report_logs, secret_key=secret_key)

    def _extract_text(self, submission: Submission) -> str:
        """Return the text of a document; opens the pipeline only if a review needs it."""
        return self.pipeline.extract_text(submission)

"""The services about documents: scans, files, originals, reviews."""

from __future__ import annotations

from functools import cached_property
from uuid import UUID

from sqlalchemy.orm import Session

from db.tables import Batch
from service.domain import batch_bytes, originals
from service.domain.account_deletion import AccountDeletion
from service.domain.batch_bytes import BatchBytes
from service.domain.batch_intake import BatchIntake, BatchLimits
from service.domain.batch_removal import BatchRemoval
from service.domain.batch_runs import BatchRuns
from service.domain.batches.signal import WorkSignal
from service.domain.documents.scores import DocumentScores
from service.domain.file_scans import FileScans
from service.domain.files.files import FOLDER, Files
from service.domain.model_services import ModelServices
from service.domain.originals import Originals
from service.domain.people_services import PeopleServices
from service.domain.purge import Purge
from service.domain.rate_limits import RateLimit
from service.domain.reports.fonts import installed_fonts
from service.domain.reports.links import ReportLinks
from service.domain.reports.reports import Reports
from service.domain.reviews.export import FeedbackExport
from service.domain.reviews.reviews import Reviews
from service.domain.risks.register_file import RegisterFile
from service.domain.scans.scans import Scans
from service.domain.user_data import UserData
from service.domain.webhooks.webhooks import BATCH_FINISHED, emit
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
    def batch_bytes(self) -> BatchBytes:
        return BatchBytes(self.transactions, self.config.data_dir / batch_bytes.FOLDER)

    @cached_property
    def batch_signal(self) -> WorkSignal:
        return WorkSignal()

    @cached_property
    def batch_intake(self) -> BatchIntake:
        config = self.config
        return BatchIntake(
            self.transactions,
            self.batch_bytes,
            BatchLimits(
                n_files=config.max_batch_files,
                n_bytes=config.max_batch_bytes,
                file_bytes=config.max_file_bytes,
                quota_bytes=config.user_quota_bytes,
            ),
            secret_key=self.signing_config.secret_key,
            announce=self.batch_signal.send,
        )

    @cached_property
    def batch_removal(self) -> BatchRemoval:
        return BatchRemoval(self.transactions, self.batch_bytes)

    @cached_property
    def batch_runs(self) -> BatchRuns:
        return BatchRuns(
            self.transactions,
            self.batch_bytes,
            scans=lambda: self.scans,
            files=self.files,
            file_scans=self.file_scans,
            admit=self._admit_batch_item,
            finished=_announce_finished,
            lease_s=self.config.batch_lease_s,
            timeout_s=self.config.batch_timeout_s,
        )

    @cached_property
    def purge(self) -> Purge:
        return Purge(
            self.transactions,
            self.files,
            self.originals,
            self.batch_removal,
            days=self.config.retention_days,
            data_dir=self.config.data_dir,
        )

    @cached_property
    def user_data(self) -> UserData:
        return UserData(
            self.transactions, self.files, self.originals, self.batch_bytes, self.report_logs
        )

    @cached_property
    def account_deletion(self) -> AccountDeletion:
        stores = (self.files, self.originals, self.batch_bytes)
        return AccountDeletion(self.transactions, *stores, self.batch_removal)

    @cached_property
    def reports(self) -> Reports:
        return Reports(
            self.transactions,
            self.report_logs,
            self.foreign_reads,
            fonts=lambda: installed_fonts(self.config.report_fonts),
        )

    @cached_property
    def report_links(self) -> ReportLinks:
        return ReportLinks(self.transactions, secret_key=self.signing_config.secret_key)

    @cached_property
    def risk_register_file(self) -> RegisterFile:
        return RegisterFile(self.transactions, self.report_logs)

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

    def _admit_batch_item(self, user_id: UUID) -> None:
        self.scan_quota.spend(str(user_id))


def _announce_finished(session: Session, batch: Batch) -> None:
    """Tell the owner's webhooks, in the transaction that finishes the batch."""
    counts = {f"n_{state}": getattr(batch, f"n_{state}") for state in ("done", "failed")}
    data = {"batch_id": str(batch.id), "n_items": batch.n_items, **counts}
    emit(session, user_id=batch.user_id, event=BATCH_FINISHED, data=data)

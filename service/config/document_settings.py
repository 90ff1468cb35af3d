"""Settings of documents, their extraction and files."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from service.config.field_types import FontFiles, Text


class DocumentSettings(BaseModel):
    max_text_chars: int = Field(
        2_500_000,
        ge=1,
        le=100_000_000,
        description="Maximum length of a text in characters. It also applies to the text extracted"
        " from a file.",
    )
    max_file_bytes: int = Field(
        26_214_400,
        ge=1,
        le=2**31 - 1,
        description="Maximum size of an uploaded file in bytes (25 MiB).",
    )
    max_pages: int = Field(
        2000, ge=1, le=100_000, description="Maximum number of pages of a document."
    )
    extract_timeout_s: int = Field(
        8,
        ge=1,
        le=600,
        description="Seconds to extract the text of a document, and again to wait for a free extractor.",
    )
    extract_memory_bytes: int = Field(
        805_306_368,
        ge=268_435_456,
        le=2**40,
        description="Maximum address space of the process that extracts text, in bytes (768 MiB).",
    )
    ocr: Literal["on", "off"] = Field(
        "off",
        description="Whether pages of a PDF without text are read as pictures, by the program tesseract, "
        "which must be installed.",
    )
    ocr_languages: Text = Field(
        "eng",
        description="Languages of tesseract that OCR reads, such as eng+deu; their data must be installed.",
    )
    ocr_page_timeout_s: int = Field(
        20,
        ge=1,
        le=600,
        description="Time in seconds to read the picture of one page. A page that takes longer stays "
        "among the pages without text. AI_TIMEOUT_S ends the whole scan.",
    )
    max_upload_bytes: int = Field(
        2_147_483_648,
        ge=1,
        le=2**50,
        description="Maximum size of a file in a session in bytes (2 GiB). A scan reads files of up "
        "to MAX_FILE_BYTES.",
    )
    user_quota_bytes: int = Field(
        5_368_709_120,
        ge=1,
        le=2**60,
        description="Maximum size in bytes (5 GiB) of all files in one user's sessions, originals of "
        "documents, and documents of batches that wait or failed. The same bytes count once in each.",
    )
    max_sessions: int = Field(
        1000, ge=1, le=1_000_000, description="Maximum number of sessions of one user."
    )
    report_fonts: FontFiles = Field(
        (),
        description="Font files for PDF reports, separated by commas, for characters that Noto Sans lacks, "
        "such as NotoSansCJK-Regular.ttc; it has Latin, Greek and Cyrillic. The other formats need none.",
    )

"""Reads pictures of pages with the program tesseract, each in a limited child process."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass

from service.config.settings import Config
from service.errors import ConfigError, UnreadableDocument
from service.nlp.deadline import Deadline
from service.nlp.extraction.sandbox import run_limited

_WORKER = "service.nlp.extraction.ocr_worker"
_PROGRAM = "tesseract"
_START_TIMEOUT_S = 60
_MAX_ANSWER_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Ocr:
    """An installed tesseract and its limits for one page. Thread-safe."""

    program: str
    languages: str
    page_timeout_s: int
    memory_bytes: int

    def read_page(self, pdf: bytes, page: int, *, deadline: Deadline | None = None) -> str:
        """Return the text in the picture of a page, counted from 1; "" if it takes too long or fails.

        A page that cannot be read stays among the pages without text, which the coverage of a scan lists.

        Raises:
            Overloaded: the system has no room for a child process.
        """
        left_s = self.page_timeout_s if deadline is None else deadline.remaining_s()
        job = {
            "program": self.program,
            "languages": self.languages,
            "page": page,
            "memory_bytes": self.memory_bytes,
            "cpu_s": self.page_timeout_s,
        }
        try:
            answer, status = run_limited(
                _WORKER,
                json.dumps(job),
                pdf,
                timeout_s=min(self.page_timeout_s, left_s),
                max_answer_bytes=_MAX_ANSWER_BYTES,
            )
        except (TimeoutError, UnreadableDocument):
            return ""
        return answer.decode("utf-8", "replace").replace("\f", "") if status == 0 else ""


def open_ocr(config: Config) -> Ocr:
    """Return the installed tesseract with the settings' limits.

    Raises:
        ConfigError: tesseract, or the data of one of its languages, is not installed.
    """
    program = shutil.which(_PROGRAM)
    if program is None:
        raise ConfigError(
            "OCR=on needs the program tesseract, which is not installed. Install it "
            "(apt-get install tesseract-ocr), or set OCR=off."
        )
    known = _languages(program)
    if missing := [name for name in config.ocr_languages.split("+") if name not in known]:
        raise ConfigError(
            f"OCR_LANGUAGES names {', '.join(missing)}, for which tesseract has no data here; it has "
            f"{', '.join(sorted(known))}. Install the data (apt-get install tesseract-ocr-LANGUAGE), or name "
            "others."
        )
    return Ocr(
        program, config.ocr_languages, config.ocr_page_timeout_s, config.extract_memory_bytes
    )


def _languages(program: str) -> set[str]:
    try:
        listed = subprocess.run(  # noqa: S603 - the installed program, without a shell
            [program, "--list-langs"],
            capture_output=True,
            text=True,
            timeout=_START_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"OCR=on needs the program tesseract, but {program} fails.") from error
    return set(listed.stdout.split("\n")[1:]) - {"", "osd"}

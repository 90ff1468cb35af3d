from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from service.nlp.analyzers.llm import LLMAnalyzer
from service.nlp.analyzers.llm_prompt import RequestMode
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.analyzers.remote import RemoteAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.inference.torch_engine import TorchEngine
from service.nlp.segmentation.segmenter import Segmenter
from service.nlp.taxonomy import built_in
from tests.fakes.chat_server import ChatServer
from tests.fakes.scan_server import ScanServer
from tests.support.artifacts import SHIPPED as MODEL_DIR
from tests.support.sentences import FLOW_TEXT

NEEDS_TORCH = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="the CPU image has no torch"
)


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    return Segmenter()


@pytest.fixture(scope="session")
def artifact() -> Artifact:
    return artifacts.load(MODEL_DIR)


@pytest.fixture(scope="session")
def local() -> Iterator[LocalAnalyzer]:
    analyzer = LocalAnalyzer.open(MODEL_DIR, device="cpu", n_threads=1)
    analyzer.score_batch([FLOW_TEXT])  # starts the threads, which belong to the session
    yield analyzer
    analyzer.close()


@pytest.fixture(scope="session")
def local_torch(artifact: Artifact) -> Iterator[LocalAnalyzer]:
    analyzer = LocalAnalyzer(artifact, TorchEngine(artifact, device="cpu", n_threads=1))
    analyzer.score_batch([FLOW_TEXT])
    yield analyzer
    analyzer.close()


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    server = ChatServer()
    yield server
    server.close()


@pytest.fixture
def scan_server() -> Iterator[ScanServer]:
    server = ScanServer()
    yield server
    server.close()


@pytest.fixture
def open_llm(chat_server: ChatServer) -> Iterator[Callable[[RequestMode], LLMAnalyzer]]:
    with ExitStack() as stack:

        def opened(mode: RequestMode) -> LLMAnalyzer:
            analyzer = LLMAnalyzer(
                chat_server.base_url, taxonomy=built_in(), model="rules", request_mode=mode
            )
            stack.callback(analyzer.close)
            return analyzer

        yield opened


@pytest.fixture
def remote(scan_server: ScanServer) -> Iterator[RemoteAnalyzer]:
    analyzer = RemoteAnalyzer(scan_server.url, taxonomy=built_in())
    yield analyzer
    analyzer.close()

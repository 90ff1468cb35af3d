"""An analyzer that finds nothing; a test sets whether it is ready."""

from service.nlp.analyzers.base import Analyzer
from service.nlp.document import Analysis
from service.nlp.taxonomy import built_in


class IdleAnalyzer(Analyzer):
    """Stands in for a loaded model of a name and version."""

    source = "model"
    taxonomy = built_in()

    def __init__(self, model_name="idle", model_version="1.0.0"):
        self.model_name, self.model_version = model_name, model_version
        self.ready = True
        self.is_closed = False

    def analyze(self, _document, **_):
        return Analysis(self.taxonomy, [], self.source, self.model_name, self.model_version)

    def is_ready(self):
        return self.ready

    def close(self):
        self.is_closed = True

"""The steps of training: `python -m ml STEP ...`; each prints its own help."""

from __future__ import annotations

import importlib
import sys

STEPS = {
    "dataset": "ml.corpus.dataset",
    "train": "ml.training.loop",
    "export": "ml.steps.export",
    "calibrate": "ml.evaluation.calibration",
    "evaluate": "ml.steps.evaluate",
    "register": "ml.steps.register",
    "compare": "ml.evaluation.paired_comparison",
    "drift": "ml.evaluation.drift_report",
    "rebuild-graph": "ml.steps.rebuild_graph",
}


def main() -> None:
    """Run the step that the command line names."""
    step = sys.argv[1] if len(sys.argv) > 1 else ""
    if step not in STEPS:
        sys.exit(f"usage: python -m ml STEP ...; the steps are {', '.join(STEPS)}")
    del sys.argv[1]
    module = importlib.import_module(STEPS[step])
    module.main()


if __name__ == "__main__":
    main()

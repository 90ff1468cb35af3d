"""Reviews of findings: verdicts, their adjudication, and their export for training."""

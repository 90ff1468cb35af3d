"""Sentences that many tests share."""

FLOW_TEXT = "Project has tight budget and aggressive deadline"
LONG_TEXT = " ".join(
    f"Sentence number {n} describes the harbour and its ships." for n in range(3000)
)

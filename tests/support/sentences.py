"""Sentences that many tests share."""

FLOW_TEXT = "Project has tight budget and aggressive deadline"
N_FLOW_FINDINGS = 2
GERMAN = (
    "Zwei der vier Entwickler verlassen das Team vor der Freigabe. "
    "Der Hersteller hat den Liefertermin für die Ersatzteile noch nicht bestätigt."
)


def long_text(n_sentences):
    """Return different sentences of about 57 characters; each keeps one thread busy for about 1 ms."""
    return " ".join(
        f"Sentence number {n} describes the harbour and its ships." for n in range(n_sentences)
    )


LONG_TEXT = long_text(2_000)

"""Use cases and rules, one folder per noun. Knows db and nlp; no Flask."""

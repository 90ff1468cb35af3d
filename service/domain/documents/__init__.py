"""Use cases of stored documents."""

"""The folders of users below the folder of all files: each is named by its user's id."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID


def user_folder(folder: Path, user_id: UUID) -> Path:
    """Return the folder of one user."""
    return folder / user_id.hex


def users_with_folder(folder: Path) -> set[UUID]:
    """Return the users that have a folder, whether or not they still have an account."""
    users = set()
    for path in folder.glob("*"):
        if len(path.name) == 32 and path.is_dir() and not path.is_symlink():
            try:
                users.add(UUID(hex=path.name))
            except ValueError:  # not a folder of ours
                continue
    return users

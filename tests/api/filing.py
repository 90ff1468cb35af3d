"""Calls that work with sessions and their files, and what a user has on disk."""

import hashlib

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 800
SHA256 = hashlib.sha256(PDF).hexdigest()


def new_session(user, name="Tender"):
    response = user.http.post("/api/v1/sessions", json={"name": name})
    assert response.status_code == 201, response.text
    return response.headers["Location"]


def add(user, session, name="offer.pdf", data=PDF, media_type="application/pdf"):
    return user.http.post(f"{session}/files", files={"file": (name, data, media_type)})


def content(user, response, **headers):
    return user.http.get(f"{response.headers['Location']}/content", headers=headers)


def paths(live, user):
    folder = live.services.config.data_dir / "files" / user.id.replace("-", "")
    return [p.relative_to(folder) for p in folder.glob("??/*")]

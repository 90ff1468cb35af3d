"""/.well-known/security.txt names the contacts in SECURITY_CONTACT, as RFC 9116 demands."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from service.config.settings import load
from service.errors import ConfigError
from tests.support.calls import caller

PATH = "/.well-known/security.txt"
CONTACTS = ["mailto:security@corp.local", "https://corp.local/security", "tel:+1-201-555-0123"]


def fields(answer):
    lines = answer.text.splitlines()
    return [tuple(line.split(": ", 1)) for line in lines]


def test_file_names_the_contacts_in_their_order_and_expires_within_a_year(start_service):
    live = start_service(SECURITY_CONTACT=", ".join(CONTACTS), PUBLIC_URL="https://risk.corp.local")
    with closing(caller(live.url)) as http:
        answer = http.get(PATH, headers={"Accept": "text/plain"})
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    *contacts, (name, expires), canonical = fields(answer)
    assert contacts == [("Contact", contact) for contact in CONTACTS]
    left = datetime.fromisoformat(expires) - datetime.now(UTC)
    assert (name, timedelta(days=1) < left < timedelta(days=365)) == ("Expires", True)
    assert canonical == ("Canonical", f"https://risk.corp.local{PATH}")


def test_file_without_a_public_url_is_contact_and_expires_alone(start_service):
    live = start_service(SECURITY_CONTACT=CONTACTS[0])
    with closing(caller(live.url)) as http:
        assert [name for name, _ in fields(http.get(PATH))] == ["Contact", "Expires"]


def test_service_without_a_contact_has_no_file(client):
    answer = client.get(PATH)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "contact",
    [
        "security@corp.local",
        "http://corp.local",
        "mailto:nobody",
        "tel:5550123",
        "mailto:a@b.c\nExpires: x",
        "mailto:a@b c.d",
        "javascript:alert(1)",
    ],
)
def test_contact_that_is_no_address_is_refused(contact):
    with pytest.raises(ConfigError, match="SECURITY_CONTACT must list addresses"):
        load({"SECURITY_CONTACT": contact})

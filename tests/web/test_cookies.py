"""How the header Cookie is read: in linear time, by the listener and by the application."""

import time

import pytest

from service.api.http.limits import SMALL_BODY_BYTES
from service.api.http.login_cookie import COOKIE
from tests.support.calls import HTTP

HOSTILE = {
    "backslashes": f'{COOKIE}="' + "\\" * 30_000 + '"',
    "escapes": f'{COOKIE}="' + '\\"' * 15_000 + '"',
    "spaces": f"{COOKIE}=" + " " * 30_000 + '"x',
    "pairs": "a=b;" * 7_500,
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(
    "n_bytes", [0, SMALL_BODY_BYTES + 1]
)  # the listener reads the second one's
def test_cookie_is_read_in_linear_time(client, value, n_bytes):
    start = time.process_time()
    answer = client.post("/api/v1/scan", content=bytes(n_bytes), headers={"Cookie": value})
    assert answer.status_code == 401
    assert time.process_time() - start < 1  # 2 to 6 s in quadratic time


@pytest.mark.parametrize(
    "header",
    ["{}", "a=b; {}", "{};c", 'a="b c";\t{} ; c="\\"', "; =; {}", "{}; {name}=second"],
)
def test_login_cookie_is_found_among_others(visitor, header):
    pair = f"{COOKIE}={visitor.http.cookies[COOKIE]}"
    url = visitor.http.base_url.join("/api/auth/me")
    answer = HTTP.get(url, headers={"Cookie": header.format(pair, name=COOKIE)})
    assert answer.json()["email"] == visitor.email

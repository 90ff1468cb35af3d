"""Search with the external index service: what it gets, what of its answers is shown, and when it fails."""

import json
import secrets
from contextlib import closing
from functools import partial
from uuid import uuid4

import pytest

from service.config.settings import load
from service.domain.search.index_sync import IndexSync
from service.errors import ConfigError, IndexerUnavailable
from service.nlp.analyzers import circuit_breaker
from tests.api.api_interactions import listed
from tests.api.conftest import SETTINGS, User
from tests.api.teaching import change, new_course, new_lesson
from tests.fakes.index_server import TOKEN, IndexServer
from tests.support.calls import caller
from tests.support.waiting import wait_until

HASTY_S = 0.4
SLOW_MACHINE_S = 10
BREAK = circuit_breaker.MAX_FAILURES


@pytest.fixture(scope="module")
def server():
    with closing(IndexServer()) as running:
        yield running


@pytest.fixture(scope="module")
def start(start_service, server):
    """Start a service that uses the server; `INDEXER_TIMEOUT_S` is how long a search waits for it."""
    return partial(
        start_service,
        INDEXER_URL=server.url,
        INDEXER_TOKEN=TOKEN,
        EGRESS_HOSTS="127.0.0.1",
        STORE_TEXT="full",
    )


@pytest.fixture(scope="module")
def live(database_url, start):
    return start(DATABASE_URL=database_url, INDEXER_TIMEOUT_S="30")


@pytest.fixture
def author(live, admin_of):
    """An account that may write courses."""
    return admin_of(live)


@pytest.fixture(autouse=True)
def healthy(live, server, monkeypatch):
    """Begin and end each test with a server that answers, and a closed circuit."""
    monkeypatch.setattr(circuit_breaker, "PAUSE_S", 0.2)
    yield
    server.status = None
    server.gate.set()
    server.replies.clear()
    server.foreign.clear()
    server.broken.clear()
    wait_until(lambda: _answers(live))


def _answers(live):
    try:
        live.services.index_calls.listed(None, limit=1)
    except IndexerUnavailable:
        return False
    return True


def add(live, user, name, text="The canteen opens at noon."):
    """Scan a file; return the ids of its document and its scan once search has it."""
    form = {"file": (name, f"{text} {secrets.token_hex(4)}".encode())}
    scan = user.http.post("/api/scan", files=form).raise_for_status().json()["scan_id"]
    live.services.search_indexer.join()
    return user.http.get(f"/api/v1/scans/{scan}").raise_for_status().json()["document_id"], scan


def found(user, q, **params):
    answer = user.http.get("/api/v1/search", params={"q": q, "kind": "document", **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def lessons_of(answer):
    """Return the lessons that words or the index service found; meaning finds every one."""
    items = [item for item in answer["items"] if item["ways"] != ["meaning"]]
    return [item["lesson"]["id"] for item in items]


def shown(answer):
    return [item["document"]["id"] for item in answer["items"]]


@pytest.mark.every_database
def test_new_document_is_pushed_and_found_by_both_ways(live, user, server):
    document, _ = add(live, user, "harbour.txt", "The jetty is wet.")
    item = server.items[document]
    assert (item["kind"], item["title"], item["owner"]) == ("document", "harbour.txt", user.id)
    assert item["text"].startswith("The jetty is wet.")
    answer = found(user, "jetty")
    assert (shown(answer), answer["index_service"]) == ([document], "used")
    assert {"words", "index"} <= set(answer["items"][0]["ways"])
    assert server.queries[-1]["reader"] == {"id": user.id, "teams": []}


def test_document_that_only_the_index_service_finds_is_shown(live, user, server):
    document, _ = add(live, user, "pier.txt")
    server.items[document]["title"] += " synonym"
    answer = found(user, "synonym")
    assert [(item["document"]["id"], item["ways"]) for item in answer["items"]] == [
        (document, ["index"])
    ]


def test_search_of_findings_does_not_ask_it(user, server):
    n_before = len(server.queries)
    answer = found(user, "jetty", kind="finding")
    assert (answer["index_service"], len(server.queries)) == ("off", n_before)


@pytest.mark.every_database
def test_foreign_and_unknown_ids_are_never_shown_and_take_no_rank(live, client, user, server):
    mine, _ = add(live, user, "quay.txt")
    stranger = User(client)
    with closing(stranger.http):
        theirs, _ = add(live, stranger, "quay-of-a-stranger.txt")
        server.foreign[:] = [theirs, str(uuid4())]
        answer = found(user, "quay")
    assert shown(answer) == [mine]
    first_in_index = 1 / 61
    assert answer["items"][0]["score"] >= 2 * first_in_index - 1e-9


def test_members_find_what_is_shared_with_their_team(live, user, server, admin_of):
    admin = admin_of(live)
    document, _ = add(live, user, "lighthouse.txt")
    member = User(admin.client)
    team = admin.http.post("/api/v1/teams", json={"name": secrets.token_hex(4)})
    team_id = team.raise_for_status().json()["id"]
    for account in (user, member):
        path = f"/api/v1/teams/{team_id}/members/{account.id}"
        admin.http.put(path).raise_for_status()
    path = f"/api/v1/documents/{document}/teams/{team_id}"
    user.http.put(path).raise_for_status()
    live.services.index_sync.run()
    assert server.items[document]["teams"] == [team_id]
    with closing(member.http):
        answer = found(member, "lighthouse", scope="team")
    assert (shown(answer), answer["index_service"]) == ([document], "used")
    assert server.queries[-1]["reader"] == {"id": member.id, "teams": [team_id]}


def test_server_that_hangs_leaves_the_local_answer_within_the_time(start, make_user, server):
    hasty = start(INDEXER_TIMEOUT_S=str(HASTY_S))
    user = make_user(hasty)
    document, _ = add(hasty, user, "breakwater.txt")
    server.gate.clear()
    reply = user.http.get("/api/v1/search", params={"q": "breakwater", "kind": "document"})
    answer = reply.json()
    assert (shown(answer), answer["index_service"]) == ([document], "unavailable")
    assert answer["items"][0]["ways"] == ["words"]
    assert reply.elapsed.total_seconds() < HASTY_S + SLOW_MACHINE_S


@pytest.mark.parametrize(
    "reply",
    [
        (200, b"<html>", {}),
        (200, b'{"items": [{"id": "not-an-id", "score": 1}]}', {}),
        (200, b'{"items": [{"id": "' + str(uuid4()).encode() + b'", "score": NaN}]}', {}),
        (200, b'{"items": "' + b"x" * 1_000_001 + b'"}', {}),
        (200, json.dumps({"items": [{"id": str(uuid4()), "score": 1}] * 201}).encode(), {}),
        (500, b"{}", {}),
        (307, b"", {"Location": "/v1/query"}),
    ],
    ids=["html", "bad id", "NaN", "too long", "too many", "500", "redirect"],
)
def test_unusable_answer_leaves_the_local_one(live, user, server, reply):
    document, _ = add(live, user, "dock.txt")
    n_before = len(server.requests)
    server.replies.append(reply)
    answer = found(user, "dock")
    assert (shown(answer), answer["index_service"]) == ([document], "unavailable")
    assert [method for method, _ in server.requests[n_before:]] == ["POST"]
    assert found(user, "dock")["index_service"] == "used"


def test_circuit_opens_after_failures_and_closes_after_an_answer(user, server, monkeypatch):
    monkeypatch.setattr(circuit_breaker, "PAUSE_S", 5)
    server.status = 500
    for _ in range(BREAK):
        found(user, "anchor")
    n_before = len(server.requests)
    assert found(user, "anchor")["index_service"] == "unavailable"
    assert len(server.requests) == n_before
    server.status = None
    wait_until(lambda: found(user, "anchor")["index_service"] == "used")


@pytest.mark.every_database
def test_deletion_is_pushed(live, user, server):
    document, scan = add(live, user, "mooring.txt")
    user.http.delete(f"/api/v1/scans/{scan}").raise_for_status()
    assert document in server.items
    assert shown(found(user, "mooring")) == []
    live.services.index_sync.run()
    assert document not in server.items


@pytest.mark.every_database
def test_lesson_of_an_active_course_is_pushed_and_found_by_both_ways(
    live,
    author,
    user,
    server,
):
    live.services.index_sync.run()
    course = new_course(author)
    lesson = new_lesson(author, course, title="Pontoon", source="Tie **it** up.\n\n- Twice.")
    live.services.search_indexer.join()
    item = server.items[lesson["id"]]
    assert {key: item[key] for key in ("kind", "title", "text", "owner", "teams", "everyone")} == {
        "kind": "lesson",
        "title": "Pontoon",
        "text": "Tie it up.\nTwice.",
        "owner": None,
        "teams": [],
        "everyone": True,
    }
    assert live.services.index_sync.run() == 0
    answer = found(user, "pontoon", kind="lesson")
    assert (lessons_of(answer), answer["index_service"]) == ([lesson["id"]], "used")
    assert {"words", "index"} <= set(answer["items"][0]["ways"])
    assert server.queries[-1]["kinds"] == ["lesson"]
    found(user, "pontoon", kind="lesson,document,finding")
    assert server.queries[-1]["kinds"] == ["document", "lesson"]


@pytest.mark.every_database
def test_lesson_is_pushed_as_it_is_and_deleted_with_its_course_s_status(live, author, user, server):
    course = new_course(author, status="draft")
    lesson = new_lesson(author, course, title="Slipway")
    live.services.search_indexer.join()
    live.services.index_sync.run()
    assert lesson["id"] not in server.items
    server.foreign[:] = [lesson["id"]]
    assert lessons_of(found(user, "slipway", kind="lesson")) == []
    assert lessons_of(found(author, "slipway", kind="lesson")) == [lesson["id"]]
    server.foreign.clear()
    change(author, course, status="active").raise_for_status()
    live.services.index_sync.run()
    change(author, f"{course}/lessons/{lesson['id']}", title="Drydock").raise_for_status()
    live.services.search_indexer.join()
    assert server.items[lesson["id"]]["title"] == "Drydock"
    change(author, course, status="archived").raise_for_status()
    live.services.index_sync.run()
    assert lesson["id"] not in server.items


def test_lesson_is_found_by_the_local_index_while_the_service_fails(live, author, user, server):
    lesson = new_lesson(author, new_course(author), title="Bollard")
    live.services.search_indexer.join()
    server.status = 500
    answer = found(user, "bollard", kind="lesson")
    assert (lessons_of(answer)[0], answer["index_service"]) == (lesson["id"], "unavailable")


def test_failed_push_is_tried_again(live, user, server):
    server.status = 503
    document, _ = add(live, user, "ferry.txt")
    assert document not in server.items
    with pytest.raises(IndexerUnavailable):
        live.services.index_sync.run()
    server.status = None
    wait_until(lambda: _answers(live))
    assert live.services.index_sync.run() >= 1
    assert document in server.items
    assert live.services.index_sync.run() == 0


@pytest.mark.parametrize("page", [2, 500])
def test_item_on_which_the_service_fails_does_not_keep_others_from_it(live, user, server, page):
    first, second, *rest = sorted(add(live, user, f"lock-{n}.txt")[0] for n in range(4))
    live.services.index_sync.run()
    expected = dict(server.items)
    lost, strange = [first, second, rest[-1]], f"{rest[0][:-12]}{secrets.token_hex(6)}"
    for document in lost:
        del server.items[document]
    server.items[strange] = {"version": "old"}
    server.broken |= {second}
    sync = IndexSync(live.services.transactions, live.services.index_calls, page=page)
    sync.run()
    del expected[second]
    assert server.items == expected
    server.broken.clear()
    assert sync.run() == 1


def test_items_that_open_the_circuit_do_not_keep_others_from_the_service(live, user, server):
    documents = sorted(add(live, user, f"weir-{n}.txt")[0] for n in range(BREAK + 2))
    *broken, good, last = documents
    server.broken |= {*broken}
    for document in documents:
        del server.items[document]
    with pytest.raises(IndexerUnavailable):
        live.services.index_sync.run()
    assert good not in server.items
    wait_until(lambda: _answers(live))
    assert live.services.index_sync.run() == 2
    assert {good, last} <= server.items.keys()
    server.broken.clear()
    assert live.services.index_sync.run() == BREAK  # from the first item again


@pytest.mark.every_database
def test_pages_of_both_sides_are_compared_wherever_they_end(live, user, server):
    documents = {add(live, user, f"berth-{n}.txt")[0] for n in range(7)}
    live.services.index_sync.run()
    expected = dict(server.items)
    lost, strange = sorted(documents)[::2], [str(uuid4()) for _ in range(5)]
    for document in lost:
        del server.items[document]
    server.items.update({item_id: {"version": "old"} for item_id in strange})
    sync = IndexSync(live.services.transactions, live.services.index_calls, page=3)
    assert sync.run() == len(lost) + len(strange)
    assert server.items == expected


def test_calls_are_recorded_without_content(live, user, admin_of):
    admin = admin_of(live)
    add(live, user, "gangway.txt")
    found(user, "gangway")
    rows = listed(admin, 2, kind="indexer")
    assert {row["host"] for row in rows} == {"127.0.0.1"}
    assert any(row["status"] == 200 and row["sent_bytes"] for row in rows)
    assert "gangway" not in json.dumps(rows)
    assert TOKEN not in json.dumps(rows)


def test_without_text_only_the_name_is_pushed(start_service):
    with closing(IndexServer()) as server:
        settings = {"INDEXER_URL": server.url, "INDEXER_TOKEN": TOKEN, "STORE_TEXT": "none"}
        other = start_service(**settings)
        with closing(caller(other.url)) as http, closing(User(http).http) as own:
            user = type("Caller", (), {"http": own})
            document, _ = add(other, user, "secret.txt")
        assert (server.items[document]["title"], server.items[document]["text"]) == (
            "secret.txt",
            "",
        )


def test_host_outside_of_egress_hosts_stops_the_start():
    changed = {"EGRESS_HOSTS": "llm.corp.local", "INDEXER_URL": "http://indexer:8090"}
    with pytest.raises(ConfigError, match="EGRESS_HOSTS does not list indexer"):
        load({**SETTINGS, **changed})


def test_token_is_read_from_a_file_and_never_shown(tmp_path):
    (tmp_path / "token").write_text("from-a-file\n")
    config = load({**SETTINGS, "INDEXER_TOKEN_FILE": str(tmp_path / "token")})
    assert config.indexer_token == "from-a-file"
    assert "from-a-file" not in repr(config)

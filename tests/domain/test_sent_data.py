"""What left the machine: one audit event for each call, in the scan's transaction or by the recorder."""

import pytest

from db.queries.audit import list_events
from service.domain.current_scan import scanning
from service.domain.egress.recorder import EgressRecorder
from service.errors import AnalyzerError
from service.nlp.observer import Call
from service.nlp.pipeline import Submission
from tests.support.waiting import wait_until

TEXT = Submission(text="All is well.")


@pytest.fixture
def recorder(transactions):
    """A recorder whose thread does not run yet."""
    recorder = EgressRecorder(lambda: transactions)
    yield recorder
    recorder.close()


@pytest.fixture
def stored(recorder):
    """Let the recorder store what waits, and end it."""

    def store():
        recorder.start()
        recorder.close()

    return store


@pytest.fixture
def sent(transactions):
    """Return the events of calls, oldest first."""

    def read():
        events = transactions.read(list_events, limit=100)
        return [event for event in reversed(events) if event.action == "data.sent"]

    return read


@pytest.fixture
def send(recorder):
    """End a call as an analyzer does."""

    def end(n_sentences=1, **values):
        recorder.called(Call("llm", "host", n_sentences=n_sentences, **{"sent_bytes": 9} | values))

    return end


def test_stored_scan_stores_its_event_without_the_recorder(scans, pipeline, user, send, sent):
    pipeline.during_scan = send
    scan = scans.create(user.id, TEXT, key=None).scan
    assert [event.object_id for event in sent()] == [str(scan.id)]


def test_calls_to_one_server_are_one_event(scans, pipeline, user, send, sent):
    tokens = iter([None, 5, 7])
    pipeline.during_scan = lambda: [send(n, prompt_tokens=next(tokens)) for n in (1, 2, 3)]
    scans.create(user.id, TEXT, key=None)
    [event] = sent()
    counted = ("n_calls", "n_sentences", "sent_bytes", "prompt_tokens", "completion_tokens")
    assert [event.detail[name] for name in counted] == [3, 6, 27, 12, None]


def test_masked_and_unmasked_calls_are_two_events(scans, pipeline, user, send, sent):
    pipeline.during_scan = lambda: [send(is_masked=flag) for flag in (True, False)]
    scans.create(user.id, TEXT, key=None)
    assert sorted(event.detail["masked"] for event in sent()) == [False, True]


def test_call_that_sent_nothing_has_no_event(send, sent, stored):
    send(sent_bytes=0)
    stored()
    assert sent() == []


def fail_after(send):
    send()
    raise AnalyzerError("no")


def test_failed_scan_leaves_its_event_to_the_recorder(user, send, sent, stored):
    with pytest.raises(AnalyzerError), scanning(None, user.id):
        fail_after(send)
    assert sent() == []
    stored()
    assert [event.user_id for event in sent()] == [user.id]


def test_call_that_ends_after_its_scan_has_its_own_event(user, send, sent, stored):
    with scanning(None, user.id) as scan:
        send()
        scan.sent_events()
        send()
    stored()
    assert [event.detail["n_calls"] for event in sent()] == [1, 1]


def test_recorder_stores_no_event_twice(recorder, user, send, sent):
    with scanning(None, user.id) as scan:
        send()
    recorder.start()
    wait_until(sent)
    recorder.record_events(scan.sent_events())
    recorder.close()
    assert len(sent()) == 1


def test_call_of_a_command_names_the_operator(send, sent, stored):
    send()
    stored()
    assert sent()[0].detail["operator"].startswith("cli:")

"""A live service on loopback, and users who call it over HTTP.

Tests run on SQLite; the marker `every_database` runs a module or test on MariaDB and PostgreSQL too.
"""

import secrets
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass

import pytest

from db import migrate
from service.app import create_app
from service.config.settings import load
from service.domain.services import Services, build_services
from service.jobs.jobs import Jobs
from service.nlp.analyzers.factory import open_analyzers
from service.server.server import open_server
from tests.api.risk_register import SEES, confirmed, created, scanned
from tests.fakes.chat_server import ChatServer
from tests.support.calls import caller
from tests.support.databases import BACKENDS
from tests.support.passwords import light_hashes
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

SETTINGS = {
    "PORT": "0",
    "SECRET_KEY": "k" * 32,
    "JWT_SECRET": "j" * 32,
    "LOGIN_RATE_LIMIT": "",
    "LOG_LEVEL": "ERROR",
    # A document that takes seconds on a free core takes minutes on a busy one.
    "AI_TIMEOUT_S": "600",
    "EXTRACT_TIMEOUT_S": "60",
}


@pytest.fixture(scope="session")
def backend(request):
    """The kind of database under test."""
    return request.param


def pytest_generate_tests(metafunc):
    marks = metafunc.definition.iter_markers("parametrize")
    if "backend" in metafunc.fixturenames and not any("backend" in m.args[0] for m in marks):
        is_on_every = metafunc.definition.get_closest_marker("every_database")
        kinds = BACKENDS if is_on_every else ("sqlite",)
        metafunc.parametrize("backend", kinds, indirect=True, scope="session")


@pytest.fixture(scope="module", autouse=True)
def light_passwords():
    """Spare the tests the work of hashing; a module about passwords replaces this by the service's own."""
    with light_hashes():
        yield


@dataclass
class LiveService:
    """A served application and where it listens."""

    app: object
    services: Services
    url: str
    ops_url: str | None = None


def serve(services, stack):
    """Upgrade the database, start the services and serve them on a free port until `stack` closes."""
    stack.callback(services.close)
    services.open()
    migrate.upgrade(services.config.database_url)
    services.start()
    app = create_app(services)
    server = open_server(app, services)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    stack.callback(thread.join)
    stack.callback(server.stop)
    readiness = services.readiness
    wait_until(lambda: not readiness.report().faults, lambda: readiness.report().faults)
    ops_url = server.ops_port and f"http://127.0.0.1:{server.ops_port}"
    return LiveService(app, services, f"http://127.0.0.1:{server.port}", ops_url)


@pytest.fixture(scope="session")
def analyzers():
    """The shipped model, loaded once for all tests."""
    opened = open_analyzers(load({}))
    opened.default.score_batch([FLOW_TEXT])  # starts the threads, which belong to the session
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def start_service(analyzers, templates, tmp_path_factory):
    """Start a service with other settings; each has its own SQLite database unless set otherwise."""
    stack = ExitStack()

    def start(**settings):
        folder = tmp_path_factory.mktemp("data")
        if not settings.get("DATABASE_URL"):
            settings["DATABASE_URL"] = stack.enter_context(templates.copy("sqlite", folder))
        config = load({**SETTINGS, "DATA_DIR": str(folder), **settings})
        has_own = config.llm_base_url or config.ai_service_url or "MODEL_DIR" in settings
        services = build_services(config, analyzers=None if has_own else analyzers)
        live = serve(services, stack)
        stack.enter_context(Jobs(services))
        return live

    with stack:
        yield start


@pytest.fixture(scope="module")
def live(database_url, start_service):
    """The service on the database under test."""
    return start_service(DATABASE_URL=database_url)


@pytest.fixture
def client(live):
    """A caller without a token."""
    with closing(caller(live.url)) as http:
        yield http


class User:
    """An account that is logged in; its requests carry the access token."""

    def __init__(self, client, register=None):
        self.client = client
        self.email = f"{secrets.token_hex(8)}@corp.local"
        self.password = "correct horse"
        (register or self._register)(self.email, self.password)
        form = {"username": self.email, "password": self.password}
        self.tokens = client.post("/api/auth/login", data=form).raise_for_status().json()
        self.http = caller(client.base_url)
        self.http.headers["Authorization"] = f"Bearer {self.tokens['access_token']}"
        self.id = self.http.get("/api/auth/me").raise_for_status().json()["id"]

    def _register(self, email, password):
        body = {"email": email, "password": password}
        self.client.post("/api/auth/register", json=body).raise_for_status()

    def scan(self, text=FLOW_TEXT, **kwargs):
        return self.http.post("/api/scan", json={"text": text}, **kwargs)


@pytest.fixture
def new_user(client):
    """Make users; their connections close with the test."""
    users = []

    def make(register=None):
        users.append(User(client, register))
        return users[-1]

    yield make
    for user in users:
        user.http.close()


@pytest.fixture
def make_user():
    """Make users of a service that a test started; their connections close with the test."""
    with ExitStack() as stack:

        def make(service):
            made = User(stack.enter_context(closing(caller(service.url))))
            stack.callback(made.http.close)
            return made

        yield make


@pytest.fixture
def user(new_user):
    """One user who is logged in."""
    return new_user()


@pytest.fixture
def new_account(live, new_user):
    """Create accounts with a role, as the command line creates them."""
    register = live.services.accounts.register
    return lambda role: new_user(lambda email, password: register(email, password, role=role))


@pytest.fixture
def admin(new_account):
    return new_account("admin")


@pytest.fixture
def reviewer(new_account):
    return new_account("reviewer")


@pytest.fixture(scope="module")
def llm():
    """A chat server that answers as an LLM would."""
    server = ChatServer()
    yield server
    server.close()


@pytest.fixture
def team_of(admin):
    """Form a team of users; return its id."""

    def form(*users):
        body = {"name": f"Team {users[0].id}"}
        team = admin.http.post("/api/v1/teams", json=body).raise_for_status().json()["id"]
        for one in users:
            admin.http.put(f"/api/v1/teams/{team}/members/{one.id}").raise_for_status()
        return team

    return form


@pytest.fixture
def people(new_user, new_account):
    """Accounts by their part in a risk."""
    accounts = {name: new_user() for name in ("creator", "owner", "member", "stranger")}
    accounts |= {"team-reviewer": new_account("team-reviewer"), "admin": new_account("admin")}
    return accounts | {"other reviewer": new_account("team-reviewer")}


@pytest.fixture
def shared_risk(people, team_of):
    """A risk of a team that a finding of its creator supports, the team, and the finding."""
    team = team_of(*(people[name] for name in SEES))
    creator = people["creator"]
    scan = scanned(creator)
    chosen = confirmed(creator, scan)
    owner_id = people["owner"].id
    return created(creator, team_id=team, owner_id=owner_id, finding=chosen), team, chosen


@pytest.fixture
def admin_of():
    """Create an administrator of a service."""
    with ExitStack() as stack:

        def create(service):
            register = service.services.accounts.register
            http = stack.enter_context(caller(service.url))
            admin = User(http, lambda email, word: register(email, word, role="admin"))
            stack.enter_context(closing(admin.http))
            return admin

        yield create

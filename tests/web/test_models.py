"""The page of models, in Chromium: activate, shadow, roll back, drift."""

import pytest

from tests.support.artifacts import NAME, SHIPPED, VERSION, make_artifact, pass_gate
from tests.web.actions import assert_accessible_in_every_view, log_in, open_tab, sign_up, upload
from tests.web.conftest import PASSWORD

DEFAULT = f"{NAME}/{VERSION}"
ANALYST = "analyst@corp.local"


@pytest.fixture
def own(start_service, tmp_path):
    """A service with a second model, which passed its gate."""
    model = make_artifact(tmp_path, "2.0.0", sharpness=1.3)
    make_artifact(tmp_path, "3.0.0", sharpness=0.8)
    pass_gate(tmp_path, model, DEFAULT)
    live = start_service(REGISTRY_DIR=str(tmp_path), MODEL_DIR=str(SHIPPED))
    live.services.accounts.register(ANALYST, PASSWORD, role="analyst")
    return live


def deploy(page, button, **fields):
    page.get_by_role("button", name=button).click()
    for label, value in fields.items():
        page.locator(f"#{label}").fill(value)
    page.locator("#confirm").click()


def state_of(page, model):
    return page.get_by_role("row", name=model).locator(".badge").first


def test_analyst_activates_a_model_and_rolls_back(own, new_page):
    page = new_page()
    log_in(page, own.url, ANALYST)
    open_tab(page, "Models")
    page.get_by_text(f"{DEFAULT} serves.").wait_for()
    assert "%" in page.get_by_role("row", name=DEFAULT).locator("td").nth(1).text_content()
    deploy(page, f"Activate: {NAME}/2.0.0", why="It finds more.")
    page.get_by_text(f"Deployed: {NAME}/2.0.0.").wait_for()
    state_of(page, f"{NAME}/2.0.0").get_by_text("serving").wait_for()
    page.locator("#deployments").get_by_role("row", name="It finds more.").wait_for()
    assert_accessible_in_every_view(page, "models")
    deploy(page, "Roll back")
    state_of(page, DEFAULT).get_by_text("serving").wait_for()


def test_model_without_a_gate_needs_force_and_a_reason(own, new_page):
    page = new_page()
    log_in(page, own.url, ANALYST)
    page.goto(f"{own.url}/models")
    deploy(page, f"Activate: {NAME}/3.0.0")
    page.locator("#deploy-fault", has_text="is not activated").wait_for()
    page.get_by_label("Activate although").check()
    page.locator("#why").fill("The customer asked for it.")
    page.locator("#confirm").click()
    state_of(page, f"{NAME}/3.0.0").get_by_text("serving").wait_for()
    page.locator("#deployments").get_by_role("row", name="forced").wait_for()


def test_shadow_starts_and_ends(own, new_page):
    page = new_page()
    log_in(page, own.url, ANALYST)
    page.goto(f"{own.url}/models")
    deploy(page, f"Shadow: {NAME}/2.0.0", share="25")
    state_of(page, f"{NAME}/2.0.0").get_by_text("shadow").wait_for()
    page.get_by_role("button", name=f"End shadow: {NAME}/2.0.0").click()
    state_of(page, f"{NAME}/2.0.0").get_by_text("available").wait_for()


def test_drift_stands_beside_the_models_reference(start_service, new_page):
    live = start_service()
    live.services.accounts.register("admin@corp.local", PASSWORD, role="admin")
    page = new_page()
    log_in(page, live.url, "admin@corp.local")
    text = "".join(f"The budget {n} is tight.\n" for n in range(2_000))
    upload(page, "budget.txt", text.encode())
    page.goto(f"{live.url}/models")
    page.get_by_text("2,000 sentences, beside the").wait_for()
    card = page.locator(".drift-card", has_text="Categories of sentences")
    assert "drifted" in card.locator(".badge").text_content()
    assert ", by chance up to 0." in card.locator("h3").text_content()
    assert card.get_by_role("row", name="Budget").locator("td").last.text_content() == "100 %"


def test_page_is_for_analysts_and_administrators(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    assert page.get_by_role("link", name="Models").count() == 0
    assert page.goto(f"{live.url}/models").status == 403

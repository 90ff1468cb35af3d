"""The page of the user's settings, in Chromium."""

from db.queries.users import user_by_email
from db.tables import UserSettings
from service.domain.preferences import Preferences
from service.domain.settings.settings import put_settings
from service.nlp.pipeline import ScanDefaults
from tests.support.waiting import wait_until
from tests.web.actions import RISKS, sign_up, upload


def test_settings_saved_on_their_page_apply_to_the_next_scan(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    page.goto(f"{live.url}/settings")
    page.get_by_label("Budget", exact=True).fill("100")
    page.get_by_label("What a scan keeps of its document").select_option("none")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    page.reload()
    wait_until(lambda: page.locator("#store-text").input_value() == "none")
    assert page.get_by_label("Budget", exact=True).input_value() == "100"
    page.goto(live.url)
    upload(page, "notes.txt", "\n\n".join(RISKS).encode())
    page.get_by_text("Your settings say store_text=none").wait_for()
    assert page.locator("mark").all_text_contents() == [*RISKS[:2]]


def test_threshold_of_an_earlier_model_survives_a_save_until_it_is_emptied(live, new_page):
    page = new_page()
    email = sign_up(page, live.url)
    stored = Preferences(ScanDefaults(thresholds={"weather": 0.4}))
    user = live.services.transactions.read(user_by_email, email)
    live.services.transactions.run(put_settings, user.id, stored)

    def save():
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Saved.").wait_for()
        return live.services.transactions.read(stored_thresholds, user.id)

    page.goto(f"{live.url}/settings")
    earlier = page.get_by_label("weather (earlier model)")
    assert earlier.input_value() == "40"
    page.get_by_label("Budget", exact=True).fill("50")
    assert save() == {"weather": 0.4, "budget": 0.5}
    page.reload()
    earlier.fill("")
    assert save() == {"budget": 0.5}


def stored_thresholds(session, user_id):
    return session.get(UserSettings, user_id).thresholds

"""The page of API keys, in Chromium."""

from tests.web.actions import sign_up


def test_copy_without_a_clipboard_says_to_select_the_text(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined });")
    page.goto(f"{live.url}/keys")
    page.get_by_label("Which machine uses it?").fill("nightly")
    page.get_by_role("button", name="Create key").click()
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("select the text instead").wait_for()

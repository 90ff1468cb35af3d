"""Scans and batches of the same name and minute, in Chromium: a number tells them apart."""

from tests.web.actions import RISKS, shoot, sign_up

TEXT = {"name": "report.txt", "mimeType": "", "buffer": RISKS[0].encode()}
# The rows differ whenever the clock moves on between them; a stopped one keeps the test stable.
ONE_TIME = (
    "Object.defineProperty(Intl.DateTimeFormat.prototype, 'format', {value: () => '3:33 AM'});"
)


def test_two_scans_of_one_minute_are_numbered(live, new_page):
    page = new_page()
    page.add_init_script(ONE_TIME)
    sign_up(page, live.url)
    page.locator("#file").set_input_files([TEXT, TEXT])
    page.locator("#scans .alike").nth(1).wait_for()
    assert page.locator("#scans .alike").all_text_contents() == [", 2 of 2", ", 1 of 2"]


def test_two_batches_have_their_time_and_a_number(live, new_page):
    page = new_page()
    page.add_init_script(ONE_TIME)
    sign_up(page, live.url)
    page.goto(f"{live.url}/batches")
    for n in (1, 2):
        page.locator("#file").set_input_files(TEXT)
        page.locator("#batches time").nth(n - 1).wait_for()
    shoot(page, "batches-alike")
    assert page.locator("#batches .alike").all_text_contents() == [", 2 of 2", ", 1 of 2"]

"""The top bar in Chromium: pages that do not fit beside each other are in its menu More."""

import pytest

from tests.web.actions import assert_accessible, log_in, shoot, sign_up


def tabs(page):
    return page.locator("nav .tabs a").all_text_contents()


def moved(page):
    return page.locator("nav .more a").all_text_contents()


def overflow(page):
    """Return the titles of the bar's entries that end outside of it."""
    return page.evaluate(
        """() => {
            const bar = document.querySelector("nav[aria-label=Main]").getBoundingClientRect();
            const isOutside = ({ right, bottom }) => right > bar.right + 1 || bottom > bar.bottom + 1;
            return [...document.querySelectorAll(".tabs a, .more:not([hidden]) > summary")]
                .filter((entry) => isOutside(entry.getBoundingClientRect()))
                .map((entry) => entry.textContent);
        }"""
    )


def fit(page):
    """Wait until the bar has been laid out for the width of the window."""
    page.evaluate(
        """width => new Promise((done) => {
            const look = () => (innerWidth === width ? setTimeout(done) : requestAnimationFrame(look));
            requestAnimationFrame(look);
        })""",
        page.viewport_size["width"],
    )


@pytest.mark.parametrize("width", [390, 768, 1280, 1366, 1920])
def test_every_page_of_an_administrator_is_in_the_bar_or_its_menu(live, new_page, reviewer, width):
    page = new_page(viewport={"width": width, "height": 800})
    log_in(page, live.url, reviewer)
    page.goto(f"{live.url}/audit")
    page.get_by_role("heading", name="Audit trail").wait_for()
    page.locator("nav a[aria-current=page]").wait_for(state="attached")
    fit(page)
    assert len(tabs(page) + moved(page)) == 13
    assert (tabs(page) + moved(page))[-4:] == ["Users", "Teams", "Blocks", "Audit"]
    assert overflow(page) == []
    assert page.locator("nav .more summary").is_visible() == bool(moved(page))


def test_menu_opens_and_closes_by_keyboard_and_marks_the_current_page(live, new_page, reviewer):
    page = new_page(viewport={"width": 1280, "height": 800})
    log_in(page, live.url, reviewer)
    summary = page.locator("nav .more summary")
    summary.wait_for()
    summary.focus()
    page.keyboard.press("Enter")
    shoot(page, "navigation-more")
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Audit").wait_for(state="hidden")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Audit").press("Enter")
    page.get_by_role("heading", name="Audit trail").wait_for()
    page.locator("nav .more summary[aria-current=true]").wait_for()


def test_no_entry_is_cut_off_at_any_width(live, new_page, reviewer):
    page = new_page(viewport={"width": 1280, "height": 800})
    log_in(page, live.url, reviewer)
    page.goto(f"{live.url}/audit")
    page.get_by_role("heading", name="Audit trail").wait_for()
    cut_off = {}
    for width in range(320, 1400, 5):
        unmark = "document.querySelector('.more summary').removeAttribute('aria-current')"
        page.evaluate(unmark)  # as on a page that has just been opened
        page.set_viewport_size({"width": width, "height": 800})
        fit(page)
        cut_off[width] = overflow(page)
        assert page.locator("nav .more summary").is_visible() == bool(moved(page))
    assert not {width: titles for width, titles in cut_off.items() if titles}


def test_menu_follows_the_width_of_the_window(live, new_page):
    page = new_page(viewport={"width": 1280, "height": 800})
    sign_up(page, live.url)
    page.locator("nav .more summary").wait_for(state="hidden")
    page.set_viewport_size({"width": 390, "height": 800})
    page.locator("nav .more summary").click()
    page.get_by_role("link", name="Batches").wait_for()
    shoot(page, "navigation-narrow")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.locator("nav .more summary").wait_for(state="hidden")
    assert moved(page) == []

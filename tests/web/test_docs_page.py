"""The documentation of the API, in Chromium."""


def test_example_has_the_address_of_the_service_that_shows_it(live, new_page):
    page = new_page()
    page.goto(f"{live.url}/docs")
    page.locator("code", has_text="/auth/register").first.wait_for()
    text = page.locator("#swagger-ui").text_content()
    assert f"H={live.url}" in text
    assert "localhost:8000" not in text

"""Log-in by single sign-on in a browser, to which the provider is another site."""

from tests.api.test_single_sign_on import honest, provider, sso  # noqa: F401 - fixtures


def test_browser_logs_in_across_sites(sso, provider, new_page):  # noqa: F811
    page = new_page()
    page.goto(f"{sso.url}/login?next=/settings")
    page.get_by_role("link", name="Sign in with single sign-on").click()
    page.wait_for_url(f"{sso.url}/settings")
    assert provider.claims["email"] in page.content()

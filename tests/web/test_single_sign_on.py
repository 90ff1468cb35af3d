"""Log-in by single sign-on in a browser, to which the provider is another site."""

from tests.api.sso.conftest import honest, provider, sso  # noqa: F401 - fixtures
from tests.web.conftest import PASSWORD

ADMIN = "root@corp.local"


def test_browser_logs_in_across_sites(sso, provider, new_page):  # noqa: F811
    page = new_page()
    page.goto(f"{sso.url}/login?next=/settings")
    page.get_by_role("link", name="Sign in with single sign-on").click()
    page.wait_for_url(f"{sso.url}/settings")
    assert provider.claims["email"] in page.content()


def test_browser_logs_out_at_the_provider_and_comes_back(sso, provider, new_page):  # noqa: F811
    page = new_page()
    page.goto(f"{sso.url}/login")
    page.get_by_role("link", name="Sign in with single sign-on").click()
    page.wait_for_url(f"{sso.url}/")
    page.get_by_label("Account menu").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(f"{sso.url}/login")
    assert provider.logged_out == [provider.claims["sub"]]
    page.goto(f"{sso.url}/settings")
    page.wait_for_url(f"{sso.url}/login?next=*")


def test_accounts_of_the_provider_are_shown_as_such(sso, provider, new_page):  # noqa: F811
    sso.services.accounts.register(ADMIN, PASSWORD, role="admin")
    other = new_page()
    other.goto(f"{sso.url}/login/sso")
    other.wait_for_url(f"{sso.url}/")
    page = new_page()
    page.goto(f"{sso.url}/login?next=/users")
    page.get_by_label("E-mail").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    row = page.get_by_role("row").filter(has_text=provider.claims["email"])
    row.get_by_text("single sign-on", exact=True).wait_for()
    page.get_by_label("State").select_option("single sign-on")
    page.get_by_role("row").filter(has_text=ADMIN).wait_for(state="detached")
    row.wait_for()

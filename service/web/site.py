"""The site's blueprint: its addresses, its assets and the headers of its pages."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, send_from_directory

from db.tables import AccountState, Role
from service.api.http.request_hooks import PAGES
from service.domain.audit import Action
from service.web import error_page, login, pages, security_txt, sso

_STATIC = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types lesson"
)

blueprint = Blueprint(PAGES, __name__, template_folder="templates")


def _asset(asset: str) -> Response:
    return send_from_directory(_STATIC, asset)  # no max_age: browsers ask whether it changed


@blueprint.context_processor
def _navigation() -> dict[str, object]:
    menus = {"tabs": pages.tabs, "account_tabs": pages.account_tabs}
    return {**menus, "roles": list(Role), "states": list(AccountState), "actions": list(Action)}


@blueprint.after_request
def _add_headers(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Vary"] = "Accept, Cookie"
    return response


@blueprint.after_app_request
def _show_error(response: Response) -> Response:
    """Show an error to browsers as a page, also where no page has the path."""
    if error_page.show(response, _navigation):
        return _add_headers(response)
    return response


blueprint.add_url_rule("/", "home", pages.home)
blueprint.add_url_rule("/static/<path:asset>", "static", _asset)
blueprint.add_url_rule(security_txt.PATH, "security_txt", security_txt.security_txt)
blueprint.add_url_rule("/login", "login", login.login_page)
blueprint.add_url_rule("/login", "log_in", login.log_in, methods=["POST"])
blueprint.add_url_rule("/login/sso", "sso", sso.start)
blueprint.add_url_rule("/login/sso/callback", "sso_callback", sso.finish)
blueprint.add_url_rule("/register", "register", login.register_page)
blueprint.add_url_rule("/register", "sign_up", login.sign_up, methods=["POST"])
blueprint.add_url_rule("/password", "password", login.password_page)
blueprint.add_url_rule("/logout", "logout", login.log_out, methods=["POST"])
for page in pages.SHELLS:
    blueprint.add_url_rule(page.path, page.name, page.view())

"""The documentation page: Swagger UI for /openapi.json, served from local files only."""

from __future__ import annotations

from pathlib import Path

import flask_swagger_ui
from apiflask import APIFlask
from flask import Response, send_from_directory

_ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Riskscan API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; <a href="/openapi.json">the OpenAPI document</a> does not.</noscript>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# The document names the default address, which is the same everywhere; the page shows its own.
_START = """const withOwnAddress = (response) => {
  if (new URL(response.url, location).pathname === "/openapi.json") {
    response.text = response.text.replaceAll("http://localhost:8000", location.origin);
  }
  return response;
};
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  responseInterceptor: withOwnAddress,
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null,
});
"""
# Swagger UI styles its elements inline and draws its icons from data: URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def register(app: APIFlask) -> None:
    """Serve the page at /docs."""
    app.add_url_rule("/docs", "docs", app.doc(hide=True)(_page))
    app.add_url_rule("/docs/start.js", "docs_start", app.doc(hide=True)(_start))
    app.add_url_rule("/docs/assets/<path:name>", "docs_asset", app.doc(hide=True)(_asset))


def _page() -> Response:
    headers = {"Content-Security-Policy": _POLICY}
    return Response(_PAGE, headers=headers, content_type="text/html; charset=utf-8")


def _start() -> Response:
    return Response(_START, content_type="text/javascript; charset=utf-8")


def _asset(name: str) -> Response:
    return send_from_directory(_ASSETS, name, max_age=86_400)

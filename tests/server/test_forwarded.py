"""Whose forwarding headers count, and which address they name."""

import ipaddress

import pytest

from service.server.forwarded import ForwardedRequests, TrustedProxies

PROXIES = TrustedProxies([ipaddress.ip_network(text) for text in ("10.0.0.1", "fd00::/64")])


def seen(peer, **headers):
    """Return what the application sees: the client's address, the scheme, names of forwarding headers."""
    environ = {"REMOTE_ADDR": peer, "wsgi.url_scheme": "http"}
    environ |= {f"HTTP_X_FORWARDED_{name.upper()}": value for name, value in headers.items()}
    ForwardedRequests(lambda *_: [], PROXIES)(environ, lambda *_: None)
    left = [name for name in environ if "FORWARDED" in name]
    return environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], left


@pytest.mark.parametrize("peer", ["10.0.0.2", "::1", "localhost", ""])
def test_headers_of_others_are_removed_without_effect(peer):
    assert seen(peer, **{"for": "192.0.2.7"}, proto="https", host="evil") == (peer, "http", [])


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "fd00::9"])
def test_trusted_proxy_names_client_and_scheme(peer):
    assert seen(peer, **{"for": "192.0.2.7"}, proto="HTTPS") == ("192.0.2.7", "https", [])


@pytest.mark.parametrize(
    ("hops", "client"),
    [
        ("1.1.1.1, 192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, 10.0.0.1", "192.0.2.7"),
        ("1.1.1.1, 192.0.2.7,fd00::2 , 10.0.0.1:443", "192.0.2.7"),
        ("10.0.0.1", "10.0.0.1"),
        ("unknown", "unknown"),
        ("_hidden, 10.0.0.1", "unknown"),
        ("192.0.2.7, ", "unknown"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
    ],
)
def test_client_is_the_last_address_that_is_no_proxy(hops, client):
    assert seen("10.0.0.1", **{"for": hops})[0] == client


@pytest.mark.parametrize("proto", ["", "https,http", "ftp", "wss"])
def test_other_schemes_do_not_count(proto):
    assert seen("10.0.0.1", proto=proto)[1] == "http"

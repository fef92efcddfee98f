"""Believe what a proxy says, where the operator names the proxy."""

from collections.abc import Collection, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from flask import request
from werkzeug.middleware.proxy_fix import ProxyFix

from ..errors import SettingError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# A client gives values to names that begin with HTTP_, and to no others.
_IS_TRUSTED = 'cadasta.workertoolbox.is_trusted'


class TrustedProxies:
    """Takes the address of the client from the proxies that are trusted, and from nobody else.

    It reads the last address in ``X-Forwarded-For``, which the proxy itself has added. It reads no other header of a
    proxy: the links of the page are paths, so they need neither a scheme nor a host.

    :param app: the application behind it.
    :param addresses: the addresses of the proxies, or their networks.
    :raises SettingError: where one of them is neither.

    >>> TrustedProxies(lambda environ, start_response: [], ['10.0.0.7/8'])
    Traceback (most recent call last):
        ...
    cadasta.workertoolbox.errors.SettingError: '10.0.0.7/8' is no address of a proxy. Write it 10.0.0.7 or 10.0.0.0/8.
    """

    def __init__(self, app: 'WSGIApplication', addresses: Collection[str]) -> None:
        self._app = app
        self._behind_proxy = ProxyFix(app, x_for=1, x_proto=0)
        self._networks = [_network(address) for address in addresses]

    def __call__(self, environ: 'WSGIEnvironment', start_response: 'StartResponse') -> Iterable[bytes]:
        environ[_IS_TRUSTED] = self._trusts(environ.get('REMOTE_ADDR', ''))
        return (self._behind_proxy if environ[_IS_TRUSTED] else self._app)(environ, start_response)

    def _trusts(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        # A socket for both versions writes an address of IPv4 as one of IPv6.
        found = getattr(found, 'ipv4_mapped', None) or found
        return any(found in network for network in self._networks)


def has_header(name: str, value: str) -> bool:
    """Tell whether a trusted proxy sent the request at hand with a header of this value.

    :param name: the header's name.
    :param value: the whole value.
    """
    # WSGI gives each byte of a header as a character.
    return bool(request.environ.get(_IS_TRUSTED)) and request.headers.get(name) == value.encode().decode('latin-1')


def _network(address: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(address)
    except ValueError:
        raise SettingError(f'{address!r} is no address of a proxy. Write it 10.0.0.7 or 10.0.0.0/8.') from None

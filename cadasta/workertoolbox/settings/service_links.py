"""The variables that Kubernetes puts into the environment for each service of a namespace."""

import re

_PARTS = re.compile(r'_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$|_SERVICE_(HOST|PORT)$')
_LINK = re.compile(r'(tcp|udp|sctp)://\S+')


def is_service_link(name: str, value: str) -> bool:
    """Tell whether a variable is one that Kubernetes makes for a service, and not somebody's setting.

    A service that is called ``toolbox`` makes ``TOOLBOX_PORT=tcp://10.0.0.7:80`` of it, and one that is called
    ``result-db`` makes ``RESULT_DB_PORT``.

    :param name: the name of the variable.
    :param value: its value.

    >>> is_service_link('TOOLBOX_PORT', 'tcp://10.0.0.7:80'), is_service_link('TOOLBOX_PORT', '8642')
    (True, False)
    """
    return _PARTS.search(name) is not None or (name.endswith('_PORT') and _LINK.fullmatch(value) is not None)

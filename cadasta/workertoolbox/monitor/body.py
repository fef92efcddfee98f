"""Read the body of a message: decompress it within bounds, and parse it as JSON, which cannot run code."""

import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from ..errors import Unreadable
from .bounds import MAX_BODY, bounded
from .shown import shown

_JSON_TYPES = ('application/json', 'application/x-json', 'text/json')
_CHARSETS = (None, '', 'utf-8', 'utf8', 'us-ascii', 'ascii', 'binary')


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


# The sender says how much memory LZMA needs. This suffices for all that Python's compressor makes.
_MOST_OF_LZMA = 80 * 2**20

# kombu puts these names into the header.
_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    'application/x-gzip': zlib.decompressobj,
    'application/x-bz2': bz2.BZ2Decompressor,
    'application/x-lzma': partial(lzma.LZMADecompressor, memlimit=_MOST_OF_LZMA),
}

# Python writes NaN and the infinities, which JSON does not know. They become text.
_read = json.JSONDecoder(parse_constant=str).decode


def load(body: bytes, headers: Mapping[Any, Any], properties: Mapping[str, Any]) -> Any:
    """Read a body.

    :param body: the body of the message.
    :param headers: its headers; ``compression`` says how it is compressed.
    :param properties: its properties; ``content_type`` must be that of JSON.
    :returns: the value that it holds.
    :raises Unreadable: where it is not JSON, or past the limits.

    >>> load(b'[[1], {}, {}]', {}, {'content_type': 'application/json'})
    [[1], {}, {}]
    """
    content_type = properties.get('content_type')
    if content_type not in _JSON_TYPES:
        raise Unreadable(f'the body is {shown(content_type)}, and only JSON is read')
    encoding = properties.get('content_encoding')
    if not (encoding is None or isinstance(encoding, str)) or (encoding and encoding.lower() not in _CHARSETS):
        raise Unreadable(f'the body is in {shown(encoding)}, and only UTF-8 is read')
    compression = headers.get('compression')
    if compression:
        body = _decompressed(body, compression)
    if len(body) > MAX_BODY:
        raise Unreadable(f'the body has {len(body)} bytes, and at most {MAX_BODY} are read')
    try:
        return _read(bounded(body))
    except ValueError as error:
        raise Unreadable(f'the body is not JSON that can be read: {error}') from None


def _decompressed(body: bytes, compression: Any) -> bytes:
    decompressor = _DECOMPRESSORS.get(compression) if isinstance(compression, str) else None
    if decompressor is None:
        raise Unreadable(f'the body is compressed by {shown(compression)}: {", ".join(_DECOMPRESSORS)} can be read')
    stream = decompressor()
    try:
        data = stream.decompress(body, MAX_BODY + 1)
    except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise Unreadable(f'the body cannot be decompressed: {error}') from None
    if not stream.eof and len(data) <= MAX_BODY:
        raise Unreadable('the compressed body is cut off')
    return data

"""Whether a file has the bytes of an S3 object, by what S3 tells without sending them.

    ETag of 32 hex digits       the MD5 of the object, unless it is encrypted with a key of KMS or its own
    ETag of 32 digits and -N    the MD5 of the MD5s of its N parts, whose sizes S3 tells
    checksum of the object      SHA-256, SHA-1 or CRC-32 of all its bytes, where whoever wrote it gave one

Reads files; S3 is asked through a function.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .checksum import read_range
from .s3bucket import is_encrypted_by_key
from .s3names import Listed

Head = Callable[..., Mapping[str, Any]]
"""`head(name, **more)`: what S3 knows of one object, or of a part of it."""

_ETAG = re.compile(r"([0-9a-f]{32})(?:-(\d{1,5}))?")


def md5_of(fd: int, start: int, length: int) -> bytes:
    """16 bytes."""
    state = hashlib.md5(usedforsecurity=False)
    for data in read_range(fd, start, length):
        state.update(data)
    return state.digest()


def etag_of_parts(digests: list[bytes]) -> str:
    """The ETag of an object that was uploaded in parts with these MD5s."""
    whole = hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()
    return f"{whole}-{len(digests)}"


def has_bytes_of(fd: int, size: int, listed: Listed, head: Head) -> bool | None:
    """Whether the file, of `size` bytes, has the bytes of the object; None where S3 tells too little."""
    if size != listed.size:
        return False
    found = _ETAG.fullmatch(listed.etag)
    if found and found.group(2):
        if _fits_parts(fd, listed, int(found.group(2)), head):
            return True
    elif found and md5_of(fd, 0, size).hex() == listed.etag:
        return True
    facts = head(listed.name, ChecksumMode="ENABLED")
    by_checksum = _compare_checksum(fd, size, facts)
    if by_checksum is not None:
        return by_checksum
    return None if not found or is_encrypted_by_key(facts) else False


def _fits_parts(fd: int, listed: Listed, count: int, head: Head) -> bool:
    """Most have parts of one size, but for the last; else each part is asked for."""
    first = head(listed.name, PartNumber=1)["ContentLength"]
    even = [min(first, listed.size - start) for start in range(0, listed.size, max(1, first))]
    if len(even) == count and _etag_with(fd, even) == listed.etag:
        return True
    if count == 1:
        return False
    sizes = [head(listed.name, PartNumber=number)["ContentLength"] for number in range(1, count + 1)]
    return sizes != even and _etag_with(fd, sizes) == listed.etag


def _etag_with(fd: int, sizes: list[int]) -> str:
    return etag_of_parts([md5_of(fd, start, size) for start, size in _places(sizes)])


def _places(sizes: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for size in sizes:
        yield start, size
        start += size


def _compare_checksum(fd: int, size: int, facts: Mapping[str, Any]) -> bool | None:
    """Whether a checksum of the whole object is that of the file; None where none is known."""
    if facts.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    for field, digest in (("ChecksumSHA256", _sha256), ("ChecksumSHA1", _sha1), ("ChecksumCRC32", _crc32)):
        told = facts.get(field, "")
        if told and "-" not in told:
            return base64.b64encode(digest(fd, size)).decode() == str(told)
    return None


def _sha256(fd: int, size: int) -> bytes:
    state = hashlib.sha256()
    for data in read_range(fd, 0, size):
        state.update(data)
    return state.digest()


def _sha1(fd: int, size: int) -> bytes:
    state = hashlib.sha1(usedforsecurity=False)
    for data in read_range(fd, 0, size):
        state.update(data)
    return state.digest()


def _crc32(fd: int, size: int) -> bytes:
    value = 0
    for data in read_range(fd, 0, size):
        value = zlib.crc32(data, value)
    return value.to_bytes(4, "big")

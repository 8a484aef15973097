"""One key of this node to one S3 object."""

from __future__ import annotations

import os

from . import points
from .errors import AwsMissing, Cancelled
from .keys import Key
from .limits import S3_MAX_PARTS, S3_PIECE_BYTES
from .s3bucket import Upload
from .s3fetch import Hands, ranges
from .s3sums import etag_of_parts, has_bytes_of, md5_of
from .sections import Section
from .uploads import Uploads

_MIB = 1 << 20


def upload(hands: Hands, uploads: Uploads, key: Key, name: str, *, resume: bool) -> bool:
    """Have the key as an object, in place of an older one; False where that has equal bytes and `resume`
    is set. Leaves no unfinished upload, whatever happens.

    Raises KeyNotFound, ChecksumMismatch, and whatever S3 refuses.
    """
    fd, stamp = hands.store.open_checked(key)
    try:
        if resume:
            with hands.streams.one(hands.cancel):
                if _is_there(hands, fd, stamp.size, name):
                    return False
        if stamp.size > S3_PIECE_BYTES:
            _put_parts(hands, uploads, fd, stamp.size, name)
        else:
            with hands.streams.one(hands.cancel):
                section = _section(hands, fd, 0, stamp.size)
                hands.bucket.put(name, section, md5_of(fd, 0, stamp.size))
    finally:
        os.close(fd)
    return True


def part_bytes(size: int) -> int:
    """Of one part, so that there are not too many."""
    least = -(-size // S3_MAX_PARTS)
    return max(S3_PIECE_BYTES, -(-least // _MIB) * _MIB)


def _is_there(hands: Hands, fd: int, size: int, name: str) -> bool:
    """Where S3 tells too little to know, it is written anew: objects may be replaced."""
    try:
        found = hands.bucket.find(name)
    except AwsMissing:
        return False
    return has_bytes_of(fd, size, found, hands.bucket.head) is True


def _section(hands: Hands, fd: int, start: int, length: int) -> Section:
    def on_read(_: int) -> None:
        if hands.cancel.is_on:
            raise Cancelled("the copy was ended")

    return Section(fd, start, length, on_read)


def _put_parts(hands: Hands, uploads: Uploads, fd: int, size: int, name: str) -> None:
    with hands.store.disk_errors("can not note that an upload begins"):
        token = uploads.begin(hands.bucket, name)
    try:
        begun = hands.bucket.begin(name)
        points.reach("s3upload.begun")
        with hands.store.disk_errors("can not note that an upload has begun"):
            uploads.named(token, begun)
        _put_each(hands, begun, fd, size)
    except BaseException:
        uploads.abandon(token)
        raise
    uploads.end(token)


def _put_each(hands: Hands, begun: Upload, fd: int, size: int) -> None:
    pieces = list(ranges(size, part_bytes(size)))
    etags, digests = [""] * len(pieces), [b""] * len(pieces)

    def put(index: int) -> None:
        start, length = pieces[index]
        with hands.streams.one(hands.cancel):
            digests[index] = md5_of(fd, start, length)
            section = _section(hands, fd, start, length)
            etags[index] = hands.bucket.put_part(begun, index + 1, section, digests[index])
            hands.on_bytes(length)

    hands.crew.share(range(len(pieces)), put)
    points.reach("s3upload.put")
    with hands.streams.one(hands.cancel):
        hands.bucket.complete(begun, etags, etag_of_parts(digests))

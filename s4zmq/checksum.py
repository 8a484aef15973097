"""Checksums of content: xxh3_128, 16 bytes.

Measured: xxh3_128 60 GB/s with the GIL released, mmh3 5.5 with it held, blake2b 0.9. It finds
damage, not malice; who may speak to a node is the cluster key's business.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Union

import xxhash

from .limits import CHUNK_BYTES

DIGEST_BYTES = 16

Buffer = Union[bytes, bytearray, memoryview]

new_digest = xxhash.xxh3_128
"""An object with `update(buffer)` and `digest()`."""


def digest_of(data: Buffer) -> bytes:
    """The digest of a value that is in memory."""
    return xxhash.xxh3_128_digest(data)


def read_chunks(fd: int) -> Iterator[bytes]:
    """The whole file behind `fd`, from its start, CHUNK_BYTES at a time. Does not move its offset."""
    offset = 0
    while chunk := os.pread(fd, CHUNK_BYTES, offset):
        yield chunk
        offset += len(chunk)


def read_range(fd: int, start: int, length: int) -> Iterator[bytes]:
    """A part of the file behind `fd`, CHUNK_BYTES at a time. Does not move its offset."""
    end = start + length
    while start < end and (chunk := os.pread(fd, min(CHUNK_BYTES, end - start), start)):
        yield chunk
        start += len(chunk)


def digest_of_file(fd: int) -> tuple[int, bytes]:
    """(size in bytes, digest) of the whole file behind `fd`. Does not move its offset."""
    state = new_digest()
    size = 0
    for chunk in read_chunks(fd):
        state.update(chunk)
        size += len(chunk)
    return size, state.digest()

"""Checksums: pinned digests, files and memory alike."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s4zmq.checksum import digest_of, digest_of_file, new_digest, read_chunks
from s4zmq.limits import CHUNK_BYTES


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "99aa06d3014798d86001c324468d497f"),
        (b"a", "a96faf705af16834e6c632b61e964e1f"),
        (b"abc", "06b05ab6733a618578af5f94892f3950"),
    ],
)
def test_the_digest_of_a_value_never_changes(data: bytes, digest: str) -> None:
    assert digest_of(data).hex() == digest
    assert digest_of(bytearray(data)) == digest_of(memoryview(data)) == bytes.fromhex(digest)


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_a_digest_does_not_depend_on_how_the_bytes_were_cut(parts: list[bytes]) -> None:
    state = new_digest()
    for part in parts:
        state.update(part)
    assert state.digest() == digest_of(b"".join(parts))


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_the_digest_of_a_file_is_that_of_its_bytes_wherever_its_offset_stands(
    tmp_path: Path, size: int
) -> None:
    data = os.urandom(size)
    (tmp_path / "value").write_bytes(data)
    with open(tmp_path / "value", "rb", buffering=0) as file:
        file.seek(size // 2)
        assert digest_of_file(file.fileno()) == (size, digest_of(data))
        assert file.tell() == size // 2
        pieces = list(read_chunks(file.fileno()))
    assert b"".join(pieces) == data
    assert all(len(piece) <= CHUNK_BYTES for piece in pieces)

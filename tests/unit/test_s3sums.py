"""Whether a file has the bytes of an object, by what S3 tells of it."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from s4zmq.s3names import Listed
from s4zmq.s3sums import etag_of_parts, has_bytes_of
from s4zmq.sections import Section

DATA = bytes(range(256)) * 10
FOREIGN = "0" * 32


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(DATA)
    with open(tmp_path / "file", "rb") as file:
        yield file.fileno()


def head_of(parts: list[int] | None = None, **facts: Any) -> Callable[..., Mapping[str, Any]]:
    """What S3 says of an object in parts of these sizes."""

    def head(name: str, PartNumber: int = 0, ChecksumMode: str = "") -> Mapping[str, Any]:
        assert name == "n"
        return {"ContentLength": (parts or [len(DATA)])[PartNumber - 1]} if PartNumber else facts

    return head


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def etag_of(sizes: list[int]) -> str:
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    return etag_of_parts(
        [md5(DATA[start : start + size]) for start, size in zip(starts, sizes, strict=True)]
    )


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


SHA, CRC = hashlib.sha256(DATA).digest(), zlib.crc32(DATA).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("etag", "head", "expected"),
    [
        (md5(DATA).hex(), head_of(), True),
        (FOREIGN, head_of(), False),
        (FOREIGN, head_of(ServerSideEncryption="AES256"), False),
        (FOREIGN, head_of(ServerSideEncryption="aws:kms"), None),
        (FOREIGN, head_of(SSECustomerAlgorithm="AES256"), None),
        (FOREIGN, head_of(ServerSideEncryption="aws:kms", ChecksumSHA256=b64(SHA)), True),
        (FOREIGN, head_of(ServerSideEncryption="aws:kms", ChecksumCRC32=b64(b"0000")), False),
        ("odd-etag", head_of(), None),
        ("odd-etag", head_of(ChecksumCRC32=b64(CRC), ChecksumType="FULL_OBJECT"), True),
        ("odd-etag", head_of(ChecksumCRC32="AAAA-2", ChecksumType="COMPOSITE"), None),
        ("odd-etag", head_of(ChecksumCRC64NVME="AAAAAAAAAAA="), None),
        (etag_of([1000, 1000, 560]), head_of([1000, 1000, 560]), True),
        (etag_of([2560]), head_of([2560]), True),
        (etag_of([1000, 500, 1060]), head_of([1000, 500, 1060]), True),
        (etag_of([1000, 1000, 560]), head_of([900, 1000, 660]), False),
        (f"{FOREIGN}-3", head_of([1000, 1000, 560]), False),
        (f"{FOREIGN}-3", head_of([1000, 1000, 560], ServerSideEncryption="aws:kms:dsse"), None),
    ],
)
def test_what_tells_and_what_does_not(fd: int, etag: str, head: Any, expected: bool | None) -> None:
    assert has_bytes_of(fd, len(DATA), Listed("n", len(DATA), etag), head) is expected


def test_another_size_needs_no_look(fd: int) -> None:
    assert has_bytes_of(fd, len(DATA), Listed("n", 1, md5(DATA).hex()), None) is False  # type: ignore[arg-type]


def test_a_section_reads_like_a_file_and_no_further(fd: int) -> None:
    told: list[int] = []
    section = Section(fd, 250, 20, told.append)
    assert (len(section), section.read(5), section.tell()) == (20, DATA[250:255], 5)
    assert section.read() == DATA[255:270]
    assert section.read(5) == b""
    assert section.seek(-3, 2) == 17
    assert section.read(100) == DATA[267:270]
    assert (section.seek(1), section.seek(2, 1)) == (1, 3)
    assert told == [5, 15, 0, 3]

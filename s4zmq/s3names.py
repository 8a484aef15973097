"""Names of S3: what `s3://bucket/path` says, and which object becomes which key.

Pure functions of text and roster, used by client and node alike. Nothing here asks S3.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .errors import AwsRefused, KeyExists, KeyInvalid, RequestError
from .keys import Folder, Key, show
from .placement import Roster

S3_SCHEME = "s3://"
OBJECT_NAME_MAX_BYTES = 1024
"""What S3 allows."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


class Place(NamedTuple):
    """A bucket of S3 and a text that names of objects in it are, or start with."""

    bucket: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Place:
        """`s3://bucket` or `s3://bucket/path`. Raises RequestError."""
        bucket, _, path = text.removeprefix(S3_SCHEME).partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise RequestError(f"{show(text)} names no bucket: write s3://bucket/path")
        try:
            path.encode()
        except UnicodeEncodeError:
            raise RequestError(f"{show(text)} is not UTF-8") from None
        return cls(bucket, path)

    def below(self) -> Place:
        """The folder: its path ends in a slash, or is empty for a whole bucket."""
        return self._replace(path=self.path.rstrip("/") + "/") if self.path.strip("/") else self._whole()

    def _whole(self) -> Place:
        return self._replace(path="")

    @property
    def is_folder(self) -> bool:
        """Whether it names no single object."""
        return not self.path or self.path.endswith("/")

    def __str__(self) -> str:
        return show(f"{S3_SCHEME}{self.bucket}/{self.path}")


def place_of(bucket: str, path: str) -> Place:
    """Of a bucket's name alone, and the rest. Raises RequestError."""
    if "/" in bucket:
        raise RequestError(f"{show(bucket)} is no bucket's name")
    return Place.parse(f"{S3_SCHEME}{bucket}")._replace(path=path)


class Listed(NamedTuple):
    """An object as a listing shows it."""

    name: str
    size: int
    etag: str
    """Without quotes."""

    @property
    def is_marker(self) -> bool:
        """Whether it only stands for a folder. Some servers list folders without slash and ETag."""
        return not self.size and (self.name.endswith("/") or not self.etag)


class Intake:
    """Which objects below a prefix become which keys of one node. Sees them in the order of their
    names, and holds a few of them only."""

    def __init__(self, source: Place, folder: Folder, roster: Roster, node: str) -> None:
        self._source = source
        self._folder = folder
        self._roster = roster
        self._node = node
        self._above: list[str] = []
        """Paths of keys of this node, each the start of the next one and of the last that was seen."""

    def key_of(self, listed: Listed) -> Key | None:
        """The key, or None for one of another node and for what stands for a folder.

        Raises KeyInvalid for a name that no key may have: nobody owns it, so the first node tells. Raises
        KeyExists where two objects could not both be keys of this node.
        """
        if listed.is_marker:
            return None
        try:
            key = self._folder.key(listed.name[len(self._source.path) :])
        except KeyInvalid as error:
            if self._node != self._roster.nodes[0]:
                return None
            raise KeyInvalid(f"{self._source._replace(path=listed.name)}: {error.text}") from None
        if self._roster.owner(key.name) != self._node:
            return None
        self._refuse_beside(key)
        return key

    def _refuse_beside(self, key: Key) -> None:
        path, above = key.path, self._above
        while above and not path.startswith(above[-1]):
            above.pop()
        if above and path == above[-1]:
            raise KeyExists(f"two objects would both become {key}")
        for other in above:
            if path.startswith(f"{other}/"):
                raise KeyExists(
                    f"{key} can not be made: another object becomes s4://{other}, so that is no folder"
                )
        above.append(path)


def object_name(target: Place, path: str, base: int) -> str:
    """The name of the object that a key becomes: `path` of it from `base` on, below `target`.

    Raises AwsRefused where it would be too long.
    """
    name = target.path + path[base:]
    if len(name.encode()) > OBJECT_NAME_MAX_BYTES:
        where = target._replace(path=name)
        raise AwsRefused(
            f"s4://{path} can not be written to {where}: S3 allows {OBJECT_NAME_MAX_BYTES} bytes"
        )
    return name

"""One bucket of S3 as a node uses it: requests that are made again where that may help, and that end
when nobody wants them any more.

Names, ranges and ETags only: what is read or written is its caller's business.
"""

from __future__ import annotations

import base64
import select
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, NamedTuple

from . import aws
from .errors import (
    AwsBusy,
    AwsDenied,
    AwsMissing,
    AwsUnreachable,
    Cancelled,
    ChecksumMismatch,
    ConnectionLost,
    ObjectChanged,
    S4Error,
    WorldError,
)
from .limits import CHUNK_BYTES, MAX_S3_COPIES, S3_ATTEMPTS, S3_SILENCE_S, S3_STREAMS
from .s3names import Listed, Place
from .sections import Section
from .shell import Switch

_MAY_PASS = (AwsBusy, AwsUnreachable, ConnectionLost)
_NOT_DONE = (AwsBusy,)
"""After these a request surely has had no effect."""

_KNOWN_BUT_DENIED = ("AccessDenied", "403")
"""New credentials would be no other."""

_FIRST_PAUSE_S = 0.2


class Clients:
    """The node's boto3 client, made when it is first needed. It is made anew after a refusal, as
    credentials may have come meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: Any = None

    def s3(self) -> Any:
        """Raises what `aws.client` does."""
        with self._lock:
            if self._client is None:
                self._client = aws.client(
                    "s3",
                    retries={"mode": "standard", "total_max_attempts": 1},  # `Bucket` does it
                    read_timeout=S3_SILENCE_S,
                    max_pool_connections=S3_STREAMS + MAX_S3_COPIES,  # each lists beside
                )
            return self._client

    def forget(self) -> None:
        """Make it anew the next time."""
        with self._lock:
            self._client = None


class Upload(NamedTuple):
    """A multipart upload that has begun."""

    name: str
    id: str


class Bucket:
    """One bucket, for one copy. Safe to use from several threads."""

    def __init__(self, clients: Clients, bucket: str, node: str, cancel: Switch) -> None:
        """`node` is for messages; `cancel` ends everything with Cancelled."""
        self.name = bucket
        self._clients = clients
        self._node = node
        self._cancel = cancel

    def place(self, name: str) -> Place:
        """An object of it, for messages."""
        return Place(self.name, name)

    @property
    def endpoint(self) -> str:
        """Where the bucket is asked for."""
        return str(self._clients.s3().meta.endpoint_url)

    # -- reading

    def look(self) -> None:
        """Raises AwsMissing, AwsRegion, or what else would be in the way of every request. Whoever may only
        write is not told what is there, and passes."""
        try:
            self._ask("look at", self.place(""), "head_bucket")
        except AwsDenied as error:
            if error.details.get("aws") not in _KNOWN_BUT_DENIED:
                raise

    def listed(self, prefix: str) -> Iterator[Listed]:
        """All objects whose names start with `prefix`, as S3 sorts them, a page at a time."""
        token: dict[str, Any] = {}
        while True:
            page = self._ask("list", self.place(prefix), "list_objects_v2", Prefix=prefix, **token)
            for found in page.get("Contents", ()):
                yield Listed(found["Key"], found["Size"], found.get("ETag", "").strip('"'))
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def head(self, name: str, **more: Any) -> Mapping[str, Any]:
        """What S3 knows of one object. Raises AwsMissing."""
        found: Mapping[str, Any] = self._ask("look at", self.place(name), "head_object", Key=name, **more)
        return found

    def find(self, name: str) -> Listed:
        """One object as a listing would show it. Raises AwsMissing."""
        found = self.head(name)
        return Listed(name, found["ContentLength"], found["ETag"].strip('"'))

    def read(self, listed: Listed, start: int, length: int, take: Callable[[int, bytes], object]) -> None:
        """`length` bytes of the object from `start` on, to `take(offset, bytes)`; what broke off is read
        on from there. Raises ObjectChanged where it is not the one that was listed any more."""
        at = start

        def go_on() -> None:
            nonlocal at
            with closing(self._open(listed, at, start + length - at)) as body:
                while data := body.read(CHUNK_BYTES):
                    if self._cancel.is_on:
                        raise self._ended()
                    take(at, data)
                    at += len(data)
            if at != start + length:
                raise ConnectionLost(f"{self._doing('read', self.place(listed.name))}: it broke off")

        self._again("read", self.place(listed.name), go_on)

    def _open(self, listed: Listed, start: int, length: int) -> Any:
        is_whole = (start, length) == (0, listed.size)
        words = {} if is_whole else {"Range": f"bytes={start}-{start + length - 1}"}
        if listed.etag:
            words["IfMatch"] = f'"{listed.etag}"'
        reply = self._clients.s3().get_object(Bucket=self.name, Key=listed.name, **words)
        size = reply["ContentLength"] if is_whole else int(reply["ContentRange"].rpartition("/")[2])
        if (reply["ETag"].strip('"'), size) != (listed.etag, listed.size):  # not all look at IfMatch
            reply["Body"].close()
            doing = self._doing("read", self.place(listed.name))
            raise ObjectChanged(f"{doing}: it has changed since it was listed; try again")
        return reply["Body"]

    # -- writing

    def put(self, name: str, section: Section, md5: bytes) -> None:
        """One object in one piece; its MD5 is compared by S3, and here."""
        place = self.place(name)
        reply = self._ask(
            "write",
            place,
            "put_object",
            Key=name,
            Body=section,
            ContentLength=len(section),
            ContentMD5=_b64(md5),
        )
        self._compare(place, reply, md5)

    def begin(self, name: str) -> Upload:
        """Begin a multipart upload. Not made again where it may have begun already."""
        place = self.place(name)
        reply = self._ask("write", place, "create_multipart_upload", may_pass=_NOT_DONE, Key=name)
        return Upload(name, reply["UploadId"])

    def put_part(self, upload: Upload, number: int, section: Section, md5: bytes) -> str:
        """One piece, counted from 1; its ETag."""
        place = self.place(upload.name)
        reply = self._ask(
            "write",
            place,
            "upload_part",
            Key=upload.name,
            UploadId=upload.id,
            PartNumber=number,
            Body=section,
            ContentLength=len(section),
            ContentMD5=_b64(md5),
        )
        self._compare(place, reply, md5)
        return str(reply["ETag"])

    def complete(self, upload: Upload, etags: Sequence[str], etag: str) -> None:
        """Make the object of its pieces. `etag` is the one that it should get."""
        parts = [{"PartNumber": number, "ETag": part} for number, part in enumerate(etags, 1)]
        try:
            self._ask(
                "write",
                self.place(upload.name),
                "complete_multipart_upload",
                Key=upload.name,
                UploadId=upload.id,
                MultipartUpload={"Parts": parts},
            )
        except AwsMissing:  # perhaps the reply to the first attempt was lost
            if self.find(upload.name).etag != etag:
                raise

    def abort(self, upload: Upload) -> None:
        """Give it up with all its pieces; one that is not there is fine. Works when the copy has ended."""
        with aws.aws_errors(self._doing("give up the upload of", self.place(upload.name))):
            client = self._clients.s3()
            try:
                client.abort_multipart_upload(Bucket=self.name, Key=upload.name, UploadId=upload.id)
            except client.exceptions.NoSuchUpload:
                return

    def uploads_since(self, name: str, moment: float) -> Iterator[Upload]:
        """Unfinished uploads of this very object that began after `moment`, in seconds since 1970."""
        with aws.aws_errors(self._doing("look for uploads of", self.place(name))):
            reply = self._clients.s3().list_multipart_uploads(Bucket=self.name, Prefix=name)
        for found in reply.get("Uploads", ()):
            began: datetime = found["Initiated"]
            if found["Key"] == name and began.timestamp() >= moment:
                yield Upload(name, found["UploadId"])

    def _compare(self, place: Place, reply: Mapping[str, Any], md5: bytes) -> None:
        """An ETag that is an MD5 says what has arrived; an encrypted object has another one."""
        etag = reply["ETag"].strip('"')
        if len(etag) == 32 and etag != md5.hex() and not is_encrypted_by_key(reply):
            raise ChecksumMismatch(
                f"{self._doing('write', place)}: other bytes have arrived there; try again"
            )

    # -- asking

    def _ask(
        self,
        verb: str,
        place: Place,
        method: str,
        *,
        may_pass: tuple[type[WorldError], ...] = _MAY_PASS,
        **words: Any,
    ) -> Any:
        def ask() -> Any:
            if "Body" in words:
                words["Body"].seek(0)  # an attempt before may have read some of it
            return getattr(self._clients.s3(), method)(Bucket=self.name, **words)

        return self._again(verb, place, ask, may_pass)

    def _again(
        self,
        verb: str,
        place: Place,
        ask: Callable[[], Any],
        may_pass: tuple[type[WorldError], ...] = _MAY_PASS,
    ) -> Any:
        """Until it succeeds, fails for good, has failed S3_ATTEMPTS times, or is not wanted any more."""
        for attempt in range(S3_ATTEMPTS):
            try:
                with aws.aws_errors(self._doing(verb, place)):
                    return ask()
            except S4Error as error:
                if self._cancel.is_on:
                    raise self._ended() from None
                if isinstance(error, AwsDenied) and error.details.get("aws") not in _KNOWN_BUT_DENIED:
                    self._clients.forget()
                if not isinstance(error, may_pass) or attempt == S3_ATTEMPTS - 1:
                    raise
            self._pause(_FIRST_PAUSE_S * 3**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _pause(self, seconds: float) -> None:
        poller = select.poll()
        poller.register(self._cancel.fd, select.POLLIN)
        poller.poll(seconds * 1000)
        if self._cancel.is_on:
            raise self._ended()

    def _doing(self, verb: str, place: Place) -> str:
        return f"node {self._node} can not {verb} {place}"

    def _ended(self) -> Cancelled:
        return Cancelled("the copy was ended")


def is_encrypted_by_key(reply: Mapping[str, Any]) -> bool:
    """Whether an object is encrypted so that its ETag is no MD5."""
    by_kms = str(reply.get("ServerSideEncryption", "")).startswith("aws:kms")
    return by_kms or bool(reply.get("SSECustomerAlgorithm"))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()

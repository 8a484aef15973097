"""The journal of unfinished uploads, against a bucket that remembers what it was asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from s4zmq.errors import AwsMissing, AwsUnreachable
from s4zmq.s3bucket import Upload
from s4zmq.uploads import Uploads


class FakeBucket:
    """One bucket of an S3 that may be down."""

    def __init__(self) -> None:
        self.name = "trip"
        self.endpoint = "http://one"
        self.open = {"id-1": "a b", "id-2": "c"}
        self.error: Exception | None = None

    def abort(self, upload: Upload) -> None:
        if self.error:
            raise self.error
        assert self.open.pop(upload.id, upload.name) == upload.name

    def uploads_since(self, name: str, moment: float) -> list[Upload]:
        return [Upload(found, id) for id, found in self.open.items() if found == name]


def journal(root: Path, bucket: Any) -> Uploads:
    return Uploads(root, lambda name: bucket)


def killed(root: Path, bucket: Any) -> None:
    """A process that was killed in the middle of two uploads, of one without having heard its id."""
    uploads = journal(root, bucket)
    uploads.named(uploads.begin(bucket, "a b"), Upload("a b", "id-1"))
    uploads.begin(bucket, "c")
    uploads.end(uploads.begin(bucket, "done"))
    uploads.close()


def left(root: Path) -> int:
    uploads = journal(root, FakeBucket())
    uploads.close()
    return len(uploads)


def test_what_a_kill_left_is_given_up(tmp_path: Path) -> None:
    bucket = FakeBucket()
    killed(tmp_path, bucket)
    assert left(tmp_path) == 2
    uploads = journal(tmp_path, bucket)
    uploads.start()
    thread = uploads._thread
    if thread:
        thread.join(10)
    assert (len(uploads), bucket.open) == (0, {})
    uploads.close()
    assert left(tmp_path) == 0


def test_it_stays_until_s3_has_answered(tmp_path: Path) -> None:
    bucket = FakeBucket()
    bucket.error = AwsUnreachable("down")
    uploads = journal(tmp_path, bucket)
    token = uploads.begin(bucket, "a b")  # type: ignore[arg-type]
    uploads.named(token, Upload("a b", "id-1"))
    assert len(uploads) == 0
    uploads.abandon(token)
    assert (len(uploads), len(bucket.open)) == (1, 2)
    uploads.stop()
    uploads.close()
    assert left(tmp_path) == 1


def test_an_upload_that_is_gone_with_its_bucket_is_done_with(tmp_path: Path) -> None:
    bucket = FakeBucket()
    bucket.error = AwsMissing("no such bucket")
    uploads = journal(tmp_path, bucket)
    token = uploads.begin(bucket, "a b")  # type: ignore[arg-type]
    uploads.named(token, Upload("a b", "id-1"))
    uploads.abandon(token)
    assert len(uploads) == 0
    uploads.close()
    assert left(tmp_path) == 0


def test_what_another_endpoint_knows_waits_for_it(tmp_path: Path) -> None:
    bucket = FakeBucket()
    killed(tmp_path, bucket)
    other = FakeBucket()
    other.endpoint = "http://two"
    uploads = journal(tmp_path, other)
    for token in ("1", "2"):
        uploads.abandon(token)
    uploads.stop()
    assert (len(uploads), len(other.open)) == (2, 2)
    uploads.close()
    assert left(tmp_path) == 2

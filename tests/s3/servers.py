"""S3 servers for tests, as processes on loopback, and a proxy in front of them that can break things.

moto knows most of S3 and checks no signature; rclone serves a folder, and checks them. Which one a
request goes to, the first letter of its bucket says.
"""

from __future__ import annotations

import http.client
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import boto3
from botocore.config import Config

from ..harness import BIN, Port, wait_until

KEY, SECRET = "AKIDOFATEST", "a-secret-of-a-test"
REGION = "us-east-1"
MANY = 1100
LARGE_BYTES = 128 << 20
_PIECE = 64 << 10


def variables(endpoint: str) -> dict[str, str]:
    """What a process needs in its environment to use S3 at `endpoint`, and nothing of this machine's."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def client_of(endpoint: str) -> Any:
    """A client of the test's own."""
    config = Config(
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        max_pool_connections=16,
        s3={"addressing_style": "path"},
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name=REGION,
        config=config,
    )


class Server:
    """One S3 server process."""

    def __init__(self, argv: list[str], log: Path, port: Port) -> None:
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port.number}"
        with open(log, "wb") as output:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.client = client_of(self.endpoint)
        wait_until(self._answers, f"{argv[0]} to answer", 30)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port.number, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self.client.close()
        self.port.release()


def start_moto(folder: Path) -> Server:
    port = Port()
    return Server(
        [str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port.number)], folder / "moto.log", port
    )


def start_rclone(folder: Path) -> Server:
    """It serves the folders in `folder`/root as buckets. Two are there, as their objects are many or large:
    `rclone-many` has MANY small ones, `rclone-large` has `large`."""
    port, root = Port(), folder / "root"
    for bucket in ("rclone-many", "rclone-large"):
        (root / bucket).mkdir(parents=True)
    for number in range(MANY):
        (root / "rclone-many" / f"{number:04}_x").write_bytes(b"%d" % number)
    with open(root / "rclone-large" / "large", "wb") as file:
        file.truncate(LARGE_BYTES)
    address = f"127.0.0.1:{port.number}"
    words = ["serve", "s3", "--addr", address, "--auth-key", f"{KEY},{SECRET}", "--config", "/dev/null"]
    return Server([str(BIN / "rclone"), *words, str(root)], folder / "rclone.log", port)


class Seen(NamedTuple):
    """A request that came by."""

    method: str
    bucket: str
    name: str
    query: str


Fault = Callable[[Seen, "Handler"], bool]
"""Called for each request; True where it has answered, or left without an answer."""


class Proxy:
    """Passes requests on, remembers them, and does what faults tell it to."""

    def __init__(self, servers: dict[str, Server]) -> None:
        """`servers` by the first letter of the buckets that they have."""
        self.servers = servers
        self.seen: list[Seen] = []
        self.faults: list[Fault] = []
        self.released = threading.Event()
        self._http = _Quiet(("127.0.0.1", 0), Handler)
        self._http.proxy = self
        self.endpoint = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def count(self, method: str, bucket: str) -> int:
        return sum(seen.method == method and seen.bucket == bucket for seen in self.seen)

    @contextmanager
    def doing(self, fault: Fault) -> Iterator[None]:
        """While inside, requests meet this fault."""
        self.faults.append(fault)
        self.released.clear()
        try:
            yield
        finally:
            self.faults.remove(fault)
            self.released.set()

    def stop(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: _Quiet

    def log_message(self, *_: object) -> None:
        """Nowhere."""

    def do_GET(self) -> None:
        proxy = self.server.proxy
        path = urlsplit(self.path)
        bucket, _, name = unquote(path.path).lstrip("/").partition("/")
        seen = Seen(self.command, bucket, name, path.query)
        proxy.seen.append(seen)
        if any(fault(seen, self) for fault in list(proxy.faults)):
            return
        self.pass_on(seen)

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET

    def body(self) -> Iterator[bytes]:
        left = int(self.headers.get("Content-Length", 0))
        while left:
            data = self.rfile.read(min(left, _PIECE))
            left -= len(data)
            yield data

    def pass_on(self, seen: Seen, cut_after: int = -1) -> None:
        """To the server, and its answer back; with `cut_after` only so many bytes of that."""
        server = self.server.proxy.servers[seen.bucket[:1]]
        upstream = http.client.HTTPConnection("127.0.0.1", server.port.number, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            upstream.request(self.command, self.path, body=self.body(), headers=headers)
            reply = upstream.getresponse()
            self.send_response_only(reply.status)
            for name, value in reply.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            self._send_body(reply, cut_after)
        finally:
            upstream.close()

    def _send_body(self, reply: http.client.HTTPResponse, cut_after: int) -> None:
        length = reply.getheader("Content-Length")
        if length is None:
            data = reply.read()
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.send_header("Content-Length", length)
        self.end_headers()
        sent = 0
        while data := reply.read(_PIECE):
            if 0 <= cut_after < sent + len(data):
                self.wfile.write(data[: cut_after - sent])
                self.hang_up()
                return
            self.wfile.write(data)
            sent += len(data)

    def refuse(self, status: int, code: str, **headers: str) -> bool:
        """Answer with an error of S3; for a fault to return."""
        for _ in self.body():
            pass
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code} it says</Message></Error>"
        data = b"" if self.command == "HEAD" else text.encode()
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        return True

    def hang_up(self) -> bool:
        """Say nothing more; for a fault to return."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(2)
        return True

    def hold(self) -> bool:
        """Say nothing, until the test has had enough; for a fault to return."""
        self.server.proxy.released.wait(60)
        return self.hang_up()


def put_objects(server: Server, bucket: str, objects: dict[str, bytes]) -> None:
    """A new bucket with these objects."""
    server.client.create_bucket(Bucket=bucket)
    for name, data in objects.items():
        server.client.put_object(Bucket=bucket, Key=name, Body=data)


def put_multipart(server: Server, bucket: str, name: str, parts: list[bytes]) -> None:
    """An object in parts, of any sizes that the server takes."""
    client = server.client
    upload = client.create_multipart_upload(Bucket=bucket, Key=name)["UploadId"]
    words = {"Bucket": bucket, "Key": name, "UploadId": upload}
    etags = [
        client.upload_part(**words, PartNumber=number, Body=part)["ETag"]
        for number, part in enumerate(parts, 1)
    ]
    listed = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    client.complete_multipart_upload(**words, MultipartUpload={"Parts": listed})


def get_objects(server: Server, bucket: str) -> dict[str, bytes]:
    """Everything in a bucket."""
    client = server.client
    names = [
        found["Key"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for found in page.get("Contents", ())
        if found.get("ETag")
    ]
    return {name: client.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names}


def unfinished(server: Server, bucket: str) -> list[str]:
    """Names of multipart uploads that have begun and not ended."""
    reply = server.client.list_multipart_uploads(Bucket=bucket)
    return [found["Key"] for found in reply.get("Uploads", ())]


def times(count: int, act: Fault) -> Fault:
    """A fault for the first requests only, of those that it answers."""
    left = [count]
    lock = threading.Lock()

    def fault(seen: Seen, handler: Handler) -> bool:
        with lock:
            if not left[0]:
                return False
            left[0] -= 1
        if act(seen, handler):
            return True
        with lock:
            left[0] += 1
        return False

    return fault


def since() -> Callable[[], float]:
    """Seconds since now."""
    start = time.monotonic()
    return lambda: time.monotonic() - start

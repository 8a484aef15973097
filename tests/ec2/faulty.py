"""A proxy before the cloud that refuses one kind of request, as AWS would."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs

_XML = (
    "<Response><Errors><Error><Code>{code}</Code><Message>{text}</Message></Error></Errors>"
    "<Error><Code>{code}</Code><Message>{text}</Message></Error></Response>"
)
_JSON = '{{"__type": "{code}", "message": "{text}"}}'
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "content-encoding", "date", "server"}


class FaultyCloud:
    """Passes on all but `action`, which fails with `code`. A context; `url` is its endpoint."""

    def __init__(self, endpoint: str) -> None:
        self.action = self.code = ""
        self.refused: list[str] = []
        faulty = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                asked = target or parse_qs(body.decode()).get("Action", [""])[0]
                if asked == faulty.action:
                    faulty.refused.append(asked)
                    answer = (_JSON if target else _XML).format(
                        code=faulty.code, text="this was made to fail"
                    )
                    self._answer(400, {}, answer.encode())
                else:
                    self._answer(*self._ask(body))

            def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
                request = urllib.request.Request(f"{endpoint}{self.path}", body, dict(self.headers))
                try:
                    with urllib.request.urlopen(request, timeout=30) as found:
                        return found.status, dict(found.headers), found.read()
                except urllib.error.HTTPError as error:
                    return error.code, dict(error.headers), error.read()

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in _HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> FaultyCloud:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

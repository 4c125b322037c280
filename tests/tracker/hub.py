"""A Hugging Face hub on loopback: serves one repository's files at one commit, ranges included."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Remembers what it was asked: method, file, and from which byte on.

    The connection breaks after ``breaks_after`` bytes of a file, where that is not None, and once only.
    """

    daemon_threads = True

    def __init__(self, repository: str, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.paths = {f"/{repository}/resolve/{REVISION}/{name}": content for name, content in files.items()}
        self.asked: list[tuple[str, str, int]] = []
        self.breaks_after: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        content = self._answer()
        stop = self.server.breaks_after
        if stop is not None and len(content) > stop:
            self.server.breaks_after = None
            content = content[:stop]
        self.wfile.write(content)

    def _answer(self) -> bytes:
        content = self.server.paths.get(self.path)
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.server.asked.append((self.command, self.path.rpartition("/")[2], start))
        if content is None:
            self.send_error(404)
            return b""
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        return content[start:]

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve_hub(repository: str, files: dict[str, bytes]) -> Iterator[Hub]:
    with Hub(repository, files) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()

"""A Hugging Face hub on loopback: takes commits, and serves files from any byte on."""

import json
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Holds one branch of any repository.

    Attributes:
        files: Contents by repository and name.
        requests: What it was asked for: method, file (empty where it is none) and from which byte on.
        refuses: Whether uploads are refused.
        breaks_after: Bytes of a file after which the connection breaks, once.
    """

    daemon_threads = True

    def __init__(self, files: Mapping[str, Mapping[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = {repository: dict(contents) for repository, contents in files.items()}
        self.requests: list[tuple[str, str, int]] = []
        self.refuses = False
        self.breaks_after: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        body = self._body()
        if self.server.refuses:
            self._json({"error": "You don't have the rights"}, 403)
        elif self.path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif self.path == "/api/repos/create":
            made = json.loads(body)
            name = f"{made['organization']}/{made['name']}" if made.get("organization") else made["name"]
            self.server.files.setdefault(name, {})
            self._json({"url": f"{self.server.url}/{name}", "name": name})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self._json({"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif "/commit/" in self.path:
            repository = self.path.removeprefix("/api/models/").partition("/commit/")[0]
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.server.files[repository][entry["value"]["path"]] = b64decode(entry["value"]["content"])
            url = f"{self.server.url}/{repository}/commit/{REVISION}"
            self._json({"success": True, "commitOid": REVISION, "commitUrl": url, "hookOutput": ""})
        else:
            self._json({"error": f"not scripted: {self.path}"}, 404)

    def do_HEAD(self) -> None:
        self._file()

    def do_GET(self) -> None:
        content = self._file()
        stop = self.server.breaks_after
        if stop is not None and len(content) > stop:
            self.server.breaks_after = None
            content = content[:stop]
        self.wfile.write(content)

    def _file(self) -> bytes:
        repository, _, rest = self.path.lstrip("/").partition("/resolve/")
        _, _, name = rest.partition("/")
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.server.requests.append((self.command, name, start))
        content = self.server.files.get(repository, {}).get(name)
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if repository in self.server.files else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return b""
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        return content[start:] if self.command == "GET" else b""

    def _body(self) -> bytes:
        """The request's body, whole or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _json(self, value: Any, status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve_hub(files: Mapping[str, Mapping[str, bytes]] | None = None) -> Iterator[Hub]:
    with Hub(files or {}) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()

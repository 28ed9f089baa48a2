"""A small hub on loopback, as far as the real client asks for it: files of repositories, and commits of new ones."""

import base64
import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_of_a_test"
Files = dict[str, bytes]


class Hub(ThreadingHTTPServer):
    """Repositories by name, each at COMMIT; `cut` ends a large file in its middle, `spoilt` changes what it holds."""

    def __init__(self, repositories: dict[str, Files], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Requests)
        self.repositories = repositories
        self.cut: int | None = None
        self.spoilt = False
        self.ranges: list[str | None] = []
        self.asked: list[str] = []
        self.stored: dict[str, bytes] = {}  # large files that were sent, by their hash
        self.private: list[str] = []

    @property
    def address(self) -> str:
        """Where the client finds it."""
        return f"http://127.0.0.1:{self.server_address[1]}"


def _file(path: str) -> str:
    """The file that an address names, as the repository calls it: it may lie in a folder."""
    return re.split(r"/resolve/[^/]+/", path)[-1]


class Requests(BaseHTTPRequestHandler):
    """What the hub answers."""

    server: Any

    def do_GET(self) -> None:
        files = self._files()
        if files is None:
            return self._refused(404, "RepoNotFound")
        if "/tree/" in self.path:
            return self._answer([_entry(name, content) for name, content in files.items()])
        name = _file(self.path)
        content, begin, large = files[name], 0, name.endswith(".safetensors")
        if large:
            self.server.ranges.append(self.headers.get("Range"))
            found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            begin = int(found[1]) if found else 0
            if self.server.spoilt:
                content = content[:-1] + bytes([content[-1] ^ 1])
        self.server.asked.append(name)
        self._head(name, files[name], begin)
        end = self.server.cut if large and self.server.cut is not None else len(content)
        self.wfile.write(content[begin:end])

    def do_HEAD(self) -> None:
        name, files = _file(self.path), self._files()
        if files is None or name not in files:
            return self._refused(404, "EntryNotFound")
        self._head(name, files[name], 0)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._refused(401, "")
        if self.path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            return self._create(json.loads(body))
        files = self._files()
        if files is None:
            return self._refused(404, "RepoNotFound")
        if "/preupload/" in self.path:
            modes = [self._mode(file["path"]) for file in json.loads(body)["files"]]
            return self._answer({"files": modes})
        if self.path.endswith("/info/lfs/objects/batch"):
            return self._answer(
                {"transfer": "basic", "objects": [self._place(one) for one in json.loads(body)["objects"]]}
            )
        if "/commit/" in self.path:
            return self._commit(files, [json.loads(line) for line in body.splitlines()])
        return self._refused(404, "")

    def do_PUT(self) -> None:
        self.server.stored[self.path.rsplit("/", 1)[-1]] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
        """Quiet."""

    def _files(self) -> Files | None:
        """Those of the repository that the address names."""
        return next(
            (files for name, files in self.server.repositories.items() if re.search(rf"/{name}[/.]", self.path)), None
        )

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        if name in self.server.repositories:
            return self._answer({"url": f"{self.server.address}/{name}"}, 409)
        self.server.repositories[name] = {}
        if wanted.get("private") or wanted.get("visibility") == "private":
            self.server.private.append(name)
        return self._answer({"url": f"{self.server.address}/{name}"})

    def _mode(self, name: str) -> dict[str, Any]:
        mode = "lfs" if name.endswith(".safetensors") else "regular"
        return {"path": name, "uploadMode": mode, "shouldIgnore": False}

    def _place(self, wanted: dict[str, Any]) -> dict[str, Any]:
        upload = {"upload": {"href": f"{self.server.address}/store/{wanted['oid']}"}}
        return {"oid": wanted["oid"], "size": wanted["size"], "actions": upload}

    def _commit(self, files: Files, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.stored[value["oid"]]
        name = next(name for name, there in self.server.repositories.items() if there is files)
        self._answer({"commitOid": COMMIT, "commitUrl": f"{self.server.address}/{name}/commit/{COMMIT}"})

    def _head(self, name: str, content: bytes, begin: int) -> None:
        self.send_response(206 if begin else 200)
        self.send_header("ETag", f'"{_entry(name, content)["oid"]}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("X-Linked-ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.end_headers()

    def _refused(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _entry(name: str, content: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": blob}
    if name.endswith("safetensors"):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry

"""An imitation of the Hub's endpoints on the loopback interface, as huggingface_hub calls them."""

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from typing import Any


class Handler(http.server.BaseHTTPRequestHandler):
    """Repositories of files; ``files`` maps a repository to its paths and contents."""

    protocol_version = "HTTP/1.1"
    timeout = 20
    files: dict[str, dict[str, bytes]]
    seen: list[str]

    def answer(self, value: Any, status: int = 200, **headers: str) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, each in headers.items():
            self.send_header(name.replace("_", "-"), each)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def missing(self) -> None:
        self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

    def sha(self, repository: str) -> str:
        table = {
            path: hashlib.sha1(each).hexdigest() for path, each in self.files[repository].items()
        }
        return hashlib.sha1(json.dumps(table, sort_keys=True).encode()).hexdigest()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.seen.append(f"{self.command} {self.path}")
        path = self.path.split("?")[0]
        info = re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/[^/]+|/tree/[^/]+)?", path)
        held = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if path == "/":
            self.answer({})
        elif (info and info[1] not in self.files) or (held and held[1] not in self.files):
            self.missing()
        elif info and (info[2] or "").startswith("/tree"):
            files = self.files[info[1]].items()
            self.answer([{"type": "file", "path": name, "size": len(each), "oid": "0" * 40}
                         for name, each in files])  # fmt: skip
        elif info:
            files = self.files[info[1]].items()
            siblings = [{"rfilename": name, "size": len(each)} for name, each in files]
            about = {"_id": "1", "id": info[1], "modelId": info[1], "private": False, "tags": []}
            self.answer({**about, "sha": self.sha(info[1]), "downloads": 0, "siblings": siblings})
        elif held and held[3] in self.files[held[1]]:
            content = self.files[held[1]][held[3]]
            etag = hashlib.sha1(content).hexdigest()
            self.answer(content, ETag=f'"{etag}"', X_Repo_Commit=self.sha(held[1]))
        else:
            self.answer({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")

    def do_POST(self) -> None:
        self.seen.append(f"{self.command} {self.path}")
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        commit = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", self.path)
        if self.headers.get("Authorization") is None:
            self.answer({"error": "Invalid username or password."}, 401)
        elif self.path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif self.path == "/api/repos/create":
            about = json.loads(content)
            name = f"{about.get('organization') or 'me'}/{about['name']}"
            self.files.setdefault(name, {})
            self.answer({"url": f"http://{self.headers['Host']}/{name}"})
        elif commit and commit[2] == "preupload":
            paths = [each["path"] for each in json.loads(content)["files"]]
            self.answer({"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False}
                                   for path in paths]})  # fmt: skip
        elif commit:
            for line in content.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    assert value["encoding"] == "base64"
                    held = self.files[commit[1]]
                    held[value["path"]] = base64.b64decode(value["content"])
            url = f"http://{self.headers['Host']}/{commit[1]}/commit/{self.sha(commit[1])}"
            self.answer({"success": True, "commitOid": self.sha(commit[1]), "commitUrl": url})
        else:
            self.answer({"error": "not imitated"}, 404)

    def log_message(self, *arguments: object) -> None:
        """Stay silent."""


@contextlib.contextmanager
def imitation() -> Iterator[tuple[str, dict[str, dict[str, bytes]], list[str]]]:
    """Run the imitation: its address, its repositories, and the requests it has seen."""
    files, seen = dict[str, dict[str, bytes]](), list[str]()
    bound = type("Bound", (Handler,), {"files": files, "seen": seen})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), bound) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}", files, seen
        finally:
            running.shutdown()
            thread.join()

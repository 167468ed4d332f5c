"""The Hub's HTTP interface as far as adapters need it, in memory, on this machine."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub(BaseHTTPRequestHandler):
    repositories: dict = {}
    asked: list = []

    def log_message(self, *_):
        pass

    def _answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value):
        self._answer(200, json.dumps(value).encode(), Content_Type="application/json")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.path, self.headers.get("Authorization")))
        if self.path == "/api/repos/create":
            if not self.headers.get("Authorization"):
                return self._answer(401, b'{"error": "no token"}')
            wanted = json.loads(body)
            private = wanted.get("private") or wanted.get("visibility") == "private"  # before and since 2.0
            name = f"{wanted.get('organization') or 'me'}/{wanted['name']}"
            self.repositories.setdefault(name, {"private": private, "files": {}})
            return self._json({"url": f"http://{self.headers['Host']}/{name}"})
        if self.path == "/api/validate-yaml":
            return self._json({"warnings": [], "errors": []})
        name, what = re.fullmatch(r"/api/models/(.+?/.+?)/(preupload|commit)/main.*", self.path).groups()
        if what == "preupload":
            files = json.loads(body)["files"]
            return self._json({"files": [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False,
                                          "oid": None} for file in files]})  # fmt: skip
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.repositories[name]["files"][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        url = f"https://huggingface.co/{name}/commit/{'0' * 40}"  # what huggingface_hub takes apart
        return self._json({"commitUrl": url, "commitOid": "0" * 40, "success": True})

    def do_GET(self):
        found = re.fullmatch(r"/(.+?/.+?)/resolve/([^/]+)/(.+)", self.path)
        if found is None:
            return self._json({"id": "me/x", "sha": "0" * 40, "siblings": []})
        name, _, file = found.groups()
        if name not in self.repositories:
            return self._answer(404, b"", X_Error_Code="RepoNotFound")
        data = self.repositories[name]["files"].get(file)
        if data is None:
            return self._answer(404, b"", X_Error_Code="EntryNotFound", X_Repo_Commit="0" * 40)
        etag = hashlib.sha256(data).hexdigest()
        return self._answer(200, data, ETag=f'"{etag}"', X_Repo_Commit="0" * 40)

    do_HEAD = do_GET


@contextmanager
def stand_in():
    """A server for a while; gives its address and its repositories."""
    Hub.repositories, Hub.asked = {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", Hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""The token webhook of the sandbox's cluster: who is behind a token made by `aws eks get-token` and its like.

A token is "k8s-aws-v1." and, in base64url, a presigned GetCallerIdentity URL whose signature covers the header
x-k8s-aws-id, the cluster's name. The URL is called, but only on this machine and only at the port of a running
sandbox; that sandbox then says who the caller is in that cluster.
Run as: python -m sandbox.aws.authenticator --listen 127.0.0.1:21362
"""

from __future__ import annotations

import argparse
import base64
import json
import signal
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from xml.etree import ElementTree

from .registration import AUTHENTICATOR_AGENT, is_registered

PREFIX = "k8s-aws-v1."
_HEADER = "x-k8s-aws-id"
_MAX_TOKEN_CHARS = 16_000


class Refused(Exception):
    """A token that is not accepted; the text says why and goes into the review's status."""


def url_in(token: str) -> str:
    """The presigned URL of a token, checked to be one of GetCallerIdentity at a sandbox here. Raises Refused."""
    if not token.startswith(PREFIX) or len(token) > _MAX_TOKEN_CHARS:
        raise Refused("not an EKS token")
    encoded = token.removeprefix(PREFIX)
    try:
        url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        parts = urlsplit(url)
        port = parts.port
        is_local = parts.scheme == "http" and ip_address(parts.hostname or "").is_loopback
    except ValueError as error:
        raise Refused("unreadable token") from error
    query = parse_qs(parts.query)
    if not is_local or port is None or parts.username or not is_registered(parts.hostname or "", port):
        raise Refused("the token's URL is not that of a sandbox on this machine")
    if query.get("Action") != ["GetCallerIdentity"] or parts.path not in ("", "/"):
        raise Refused("the token's URL is not for GetCallerIdentity")
    if _HEADER not in query.get("X-Amz-SignedHeaders", [""])[0].split(";"):
        raise Refused(f"the token's signature does not cover {_HEADER}")
    return url


def clusters_asked(url: str) -> list[str]:
    """The names of the clusters in the account of the access key in `url`, at the sandbox behind it."""
    parts = urlsplit(url)
    access_key = parse_qs(parts.query).get("X-Amz-Credential", [""])[0].partition("/")[0]
    target = f"http://{parts.netloc}/_sandbox/clusters?access_key={quote(access_key, safe='')}"
    with urllib.request.urlopen(target, timeout=5) as answer:
        names: list[str] = json.load(answer)
        return names


def caller_of(url: str, cluster: str) -> str | None:
    """The ARN that signed `url` for `cluster`; None when the signature does not fit or is too old."""
    request = urllib.request.Request(url, headers={_HEADER: cluster, "User-Agent": AUTHENTICATOR_AGENT})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            document = ElementTree.fromstring(answer.read())
    except urllib.error.HTTPError:
        return None
    arn = document.find(".//{*}Arn")
    return arn.text if arn is not None else None


def identity(url: str) -> dict[str, Any]:
    """{"username", "groups", "arn"} of the token's caller in the cluster it was made for. Raises Refused.

    The token does not say its cluster; only the signature tells, so each cluster of the caller's account is tried.
    """
    parts = urlsplit(url)
    for cluster in clusters_asked(url):
        arn = caller_of(url, cluster)
        if arn is None:
            continue
        query = f"cluster={quote(cluster)}&arn={quote(arn, safe='')}"
        with urllib.request.urlopen(f"http://{parts.netloc}/_sandbox/identity?{query}", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        if not found:
            raise Refused(f"{arn} has no access to cluster {cluster}")
        return {**found, "arn": arn}
    raise Refused("the signature is wrong, expired or for no cluster of the sandbox")


def review(document: dict[str, Any]) -> dict[str, Any]:
    """The answer to a TokenReview v1."""
    try:
        found = identity(url_in(str(document.get("spec", {}).get("token", ""))))
        status: dict[str, Any] = {"authenticated": True, "user": {
            "username": found["username"], "uid": found["arn"], "groups": found["groups"],
            "extra": {"arn": [found["arn"]]},
        }}
    except (Refused, OSError, ValueError) as error:
        status = {"authenticated": False, "error": str(error)}
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/health" else 404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if urlsplit(self.path).path != "/authenticate":
            self._answer(404, {})
            return
        try:
            document = json.loads(body)
            version = document["apiVersion"]
        except (ValueError, KeyError, TypeError):
            self._answer(400, {"error": "not a TokenReview"})
            return
        if version != "authentication.k8s.io/v1":
            self._answer(400, {"error": f"TokenReview {version} is not supported"})
            return
        self._answer(200, review(document))

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed: requests hold tokens."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def make_server(listen: str) -> ThreadingHTTPServer:
    """The webhook on "host:port", not yet serving."""
    host, _, port = listen.rpartition(":")
    return _Server((host, int(port)), _Handler)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.aws.authenticator", description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:21362", metavar="HOST:PORT")
    server = make_server(parser.parse_args().listen)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"authenticator at http://{server.server_address[0]!s}:{server.server_port}", flush=True)
    stopping.wait()
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())

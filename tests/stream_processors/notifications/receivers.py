"""Receivers on this machine: an HTTP server and a mail server that note what they get, and can be away."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage


@dataclass(frozen=True)
class Post:
    """One POST."""

    path: str
    headers: dict[str, str]
    body: Any
    status: int = 200
    raw: bytes = b""

    @property
    def id(self) -> str:
        return self.headers.get("Idempotency-Key", "")

    @property
    def title(self) -> str:
        return str(self.body["title"])


@dataclass
class HttpReceiver:
    """What came, and how it answers: each path has its own status, else ``status``."""

    port: int = 0
    status: int = 200
    posts: list[Post] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    hold: threading.Event = field(default_factory=threading.Event)
    """While it is clear, a POST to /held is noted and not answered."""

    def at(self, path: str) -> list[Post]:
        return [post for post in list(self.posts) if post.path.startswith(path)]

    @property
    def refused(self) -> int:
        """Posts that were not answered with success."""
        return sum(post.status >= 300 for post in self.posts)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def http_receiver(port: int = 0) -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.title(): value for name, value in self.headers.items()}
            path = self.path.partition("?")[0]
            status = receiver.statuses.get(path, receiver.status)
            post = Post(self.path, headers, json.loads(data), status, data)
            receiver.posts.append(post)
            if self.path.startswith("/held"):
                receiver.hold.wait(60)
            try:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                pass  # the notifier was killed meanwhile

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the base class's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", port), Handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.hold.set()
            server.shutdown()
            thread.join()


@dataclass
class Mailbox:
    """Mails that came."""

    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    answer: str = "250 OK"

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.answer.startswith("250"):
            self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
            self.recipients.append(list(envelope.rcpt_tos))
        return self.answer


@contextmanager
def mail_server(port: int) -> Iterator[Mailbox]:
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()

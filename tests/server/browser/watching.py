"""What a page must never do, noticed while a test uses it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Request


@dataclass
class PageProblems:
    """Errors on the console (refusals by the content security policy among them), uncaught errors, and requests elsewhere."""

    host: str
    seen: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Notice what this page does."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.seen.append(f"uncaught: {error}"))
        page.on("request", self._request)

    def expect(self, pattern: str) -> None:
        """This test makes such a problem on purpose; it fails if that does not come."""
        self.expected.append(pattern)

    def check(self) -> None:
        """Fail on what was not expected, and on what was expected in vain."""
        unexpected = [
            text for text in self.seen if not any(re.search(pattern, text) for pattern in self.expected)
        ]
        assert not unexpected, "\n".join(unexpected)
        for pattern in self.expected:
            assert any(re.search(pattern, text) for text in self.seen), f"no problem like {pattern!r}"

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.seen.append(f"console {message.type}: {message.text} ({message.location.get('url')})")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob", "about"} and address.netloc != self.host:
            self.seen.append(f"request to another host: {request.url}")

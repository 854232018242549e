"""Actions under an ``Idempotency-Key``: of several requests with one key one acts, in whichever process, and all get its answer.

Where a process ended between acting and answering, the topic of actions says whether it has acted.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from fastapi import Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from starlette.datastructures import UploadFile

from parallelm.operations.actions import recorded_actions
from parallelm.operations.authors import Author
from parallelm.server.access.dependencies import Asking
from parallelm.server.accounts import answered_requests as store
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError, is_nothing_done

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.server.access.principal import Principal
    from parallelm.server.context import ServerContext

Result = TypeVar("Result", bound=BaseModel)
REPLAYED: Final = "Idempotent-Replayed"
HOLD_S: Final = 120
"""An action waits for the processors for a minute at most."""
WAIT_S: Final = 60
_POLL_S: Final = 0.1
_CLOCKS_MS: Final = 600_000
"""By which Kafka's clock and ours may differ."""


class Once:
    """Runs an action, or tells what it has answered."""

    def __init__(self, context: ServerContext, response: Response, author: Author, body_digest: str) -> None:
        self.author = author
        """Who acts; says in the action by which request."""
        self._context = context
        self._response = response
        self._digest = author.request
        self._body_digest = body_digest

    def __call__(self, model: type[Result], act: Callable[[], Result]) -> Result:
        """The answer of ``act``, of the first request with this key."""
        if not self._digest:
            return act()
        deadline = time.monotonic() + WAIT_S
        while True:
            held = store.hold(
                self._context.database, self._digest, self._body_digest, _now_ms(), HOLD_S * 1000
            )
            if held.is_ours:
                return self._run(act)
            if held.body_digest != self._body_digest:
                raise ApiProblemError(
                    422,
                    "idempotency-key-reused",
                    "this Idempotency-Key came with another request; take a new one for each action",
                )
            if held.answer is not None:
                self._response.headers[REPLAYED] = "true"
                return model.model_validate_json(held.answer)
            if held.held_until_ms <= _now_ms():
                self._refuse_if_recorded(held)
                if store.take_over(self._context.database, self._digest, held, _now_ms(), HOLD_S * 1000):
                    return self._run(act)
            if time.monotonic() > deadline:
                raise ApiProblemError(
                    409,
                    "request-in-progress",
                    "a request with this Idempotency-Key is being carried out; ask again for its answer",
                    headers={"Retry-After": "5"},
                )
            time.sleep(_POLL_S)

    def _run(self, act: Callable[[], Result]) -> Result:
        try:
            found = act()
        except Exception as error:
            if is_nothing_done(error):
                store.give_back(self._context.database, self._digest)
            else:
                store.leave(self._context.database, self._digest, _now_ms())
            raise
        store.answer(self._context.database, self._digest, found.model_dump_json(by_alias=True))
        return found

    def _refuse_if_recorded(self, held: store.Held) -> None:
        found = recorded_actions(self._context.settings, self._digest, held.begun_ms - _CLOCKS_MS)
        if found:
            raise ApiProblemError(
                409,
                "already-recorded",
                "the action is recorded, and what followed was not told because the server ended or Kafka was away: see the "
                "audit log for these actions",
                action_ids=[each.action_id for each in found],
            )


async def _once(
    request: Request,
    response: Response,
    asking: Asking,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=200,
            pattern=r"^[!-~]+$",
            description="Any text of your own, new for each action: a repeat gets the first answer and does nothing again.",
        ),
    ] = None,
) -> Once:
    author = asking.author
    body_digest = ""
    if key is not None:
        author = Author(author.name, author.authenticated_by, _digest(asking, key))
        body_digest = await _body_digest(request)
    return Once(context_of(request), response, author, body_digest)


OnceKey = Annotated[Once, Depends(_once)]
"""Parameter of a handler that acts."""


def _digest(asking: Principal, key: str) -> str:
    return hashlib.sha256(json.dumps([asking.name, key]).encode()).hexdigest()


async def _body_digest(request: Request) -> str:
    """Of the whole request; of a form by its fields, since each sender draws another boundary."""
    digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    if not request.headers.get("content-type", "").startswith("multipart/"):
        digest.update(await request.body())
        return digest.hexdigest()
    for name, value in (await request.form()).multi_items():
        digest.update(f"{name}\n".encode())
        if isinstance(value, UploadFile):
            digest.update(await run_in_threadpool(_file_digest, value))
        else:
            digest.update(value.encode())
    return digest.hexdigest()


def _file_digest(sent: UploadFile) -> bytes:
    sent.file.seek(0)
    found = hashlib.file_digest(sent.file, "sha256").digest()  # type: ignore[arg-type]  # a SpooledTemporaryFile is one
    sent.file.seek(0)
    return found


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

"""What a one-time link opens: choose a password, and as first administrator a name."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from parallelm.operations.authors import Author
from parallelm.schemas.well_known import ONE_TIME_LINK, SERVER_ACCOUNT
from parallelm.server.access.authentication import now_ms
from parallelm.server.accounts import first_administrator, links, passwords, signing_in
from parallelm.server.context import context_of
from parallelm.server.errors import AccountError, LinkError
from parallelm.server.pages.rendering import render
from parallelm.server.pages.sign_in import NO_STORE, begin

ROUTER: Final = APIRouter()


@ROUTER.get(links.PATH)
def ask(request: Request, link: Annotated[str, Query(max_length=100)] = "") -> Response:
    """The form. Looking at it does not use the link up: mail programs look at links, too."""
    with context_of(request).database.reading() as sql:
        account = links.look(sql, link, now_ms())
        name = account.name if account else ""
    return _form(request, link, name, is_first=not name)


@ROUTER.post(links.PATH)
def choose(
    request: Request,
    link: Annotated[str, Form(max_length=100)] = "",
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    repeated: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Use the link up and sign in."""
    database = context_of(request).database
    with database.reading() as sql:
        account = links.look(sql, link, now_ms())
        is_first = account is None
        name = name if account is None else account.name
    try:
        if password != repeated:
            raise AccountError("the two passwords differ; type the same twice")  # noqa: TRY301 - told like the others
        with context_of(request).audit.changing(Author(name.strip().lower(), ONE_TIME_LINK)) as change:
            account = links.use(change.sql, link, name, password, now_ms())
            signing_in.unlock(change.sql, account.name)
            change.note("create_first_administrator" if is_first else "choose_password", account.name)
    except LinkError:
        raise
    except AccountError as error:
        return _form(request, link, name, is_first=is_first, problem=str(error), status_code=422)
    first_administrator.remove_file(database)
    return begin(request, account, SERVER_ACCOUNT, "/")


def _form(
    request: Request, link: str, name: str, *, is_first: bool, problem: str = "", status_code: int = 200
) -> Response:
    values = {
        "link": link,
        "name": name,
        "is_first": is_first,
        "problem": problem,
        "least": passwords.LEAST,
    }
    return render(request, "choose_password.html", values, status_code=status_code, headers=NO_STORE)

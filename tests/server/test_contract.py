"""The whole contract, tried by schemathesis: what it allows is answered as it says, what it does not allow is refused."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import Phase, given, settings
from hypothesis.errors import NoSuchExample, Unsatisfiable

from parallelm.server.access.matrix import ADMIN
from parallelm.server.accounts import people, tokens
from tests.server.accounts import ACCOUNT_OF

if TYPE_CHECKING:
    import schemathesis
    from schemathesis import GenerationMode

    from parallelm.server.accounts.database import Database

EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "2"))
"""A request each; `make faults` asks for more."""


@pytest.fixture(scope="module")
def token(server_database: Database) -> str:
    """Of the administrator."""
    with server_database.writing() as sql:
        account = people.find(sql, ACCOUNT_OF[ADMIN])
        return tokens.create(sql, account, "contract", None, 1, time.time_ns() // 1_000_000)[1]


def test_every_operation_keeps_the_contract(server_url: str, token: str) -> None:
    import schemathesis  # here: every worker of a session collects this file
    from schemathesis import GenerationMode

    asked: list[schemathesis.Case] = []
    described = httpx.get(f"{server_url}/api/v1/openapi.json").json()
    described.pop("security")  # else it makes headers up, in the place of the token
    contract = schemathesis.openapi.from_dict(described)
    wrong: list[str] = []
    for found in contract.get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                _try(operation, mode, (server_url, token), asked)
            except (NoSuchExample, Unsatisfiable):
                continue  # nothing of it can be wrong
            except BaseExceptionGroup as error:
                wrong += [f"{each}\n{asked[-1].as_curl_command()}" for each in error.exceptions]
            except Exception as error:  # noqa: BLE001 - told with all others
                wrong.append(f"{operation.label}: {error}\n{asked[-1].as_curl_command()}")
    assert not wrong, f"{len(wrong)} failures\n" + "\n\n".join(wrong)


def _try(operation: Any, mode: GenerationMode, at: tuple[str, str], asked: list[schemathesis.Case]) -> None:
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, phases=[Phase.explicit, Phase.generate])
    def keep(case: schemathesis.Case) -> None:
        case.headers["Authorization"] = f"Bearer {at[1]}"
        if case.method != "GET" and "mlapp_id" in case.path_parameters:
            case.path_parameters["mlapp_id"] = "contract"  # the seeded MLApp is other tests' too
        asked.append(case)
        # What a schema allows may still be refused by words that it cannot say, such as a time zone that there is not.
        case.call_and_validate(base_url=at[0], excluded_checks=[positive_data_acceptance])

    keep()


def test_operations_have_names_for_clients_and_all_their_errors(client: httpx.Client) -> None:
    contract = client.get("/api/v1/openapi.json").json()
    operations = [each for path in contract["paths"].values() for each in path.values()]
    ids = [each["operationId"] for each in operations]
    assert len(ids) == len(set(ids))
    assert all(each.isidentifier() for each in ids)
    for each in operations:
        assert each["summary"], each["operationId"]
        refused = each["responses"]["422"]["content"]
        assert list(refused) == ["application/problem+json"], each["operationId"]


def test_nobody_gets_anything_without_a_token(server_url: str) -> None:
    with httpx.Client(base_url=server_url) as nobody:
        contract = nobody.get("/api/v1/openapi.json").json()
        for path, operations in contract["paths"].items():
            for method, operation in operations.items():
                if operation.get("security") == []:
                    continue
                answer = nobody.request(method, path.replace("{", "").replace("}", ""))
                assert answer.status_code == 401, (method, path, answer.text)
                assert answer.json()["type"] == "urn:mcenter:problem:unauthorized"

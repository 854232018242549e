"""Every client over TLS with SCRAM, each with the rights of its role and no others, on a real broker."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from parallelm.connections import ServerSettings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.connections.kafka import client_config
from parallelm.operations.access import ROLES, grant, rights_of
from parallelm.schemas.topic_admin import connect
from parallelm.schemas.topics import CATALOGUE
from parallelm.server.run import make_context
from tests.server.accounts import opened_database, signed_in
from tests.server.serving import served
from tests.service_process import ServiceProcess
from tests.stream_processors.notifications.receivers import http_receiver
from tests.waiting import DEADLINE_S, wait_for

if TYPE_CHECKING:
    from parallelm.connections import KafkaSettings

    from .conftest import Secured

DEFINITION = """\
mlapp: app
nodes: [{id: predict, type: model_consumer}]
alerts: [{name: late, type: threshold, statistic: share, above: 0.5}]
"""
COMPONENT = """\
from parallelm.mlops import mlops
mlops.init()
mlops.set_stat("share", 0.9)
mlops.done()
"""
NOTIFICATIONS = """\
receivers: [{name: team, targets: [{type: webhook, url: "http://127.0.0.1:PORT/hook"}]}]
alerts: {receiver: team, group_wait: 1s}
"""


def service(secured: Secured, name: str, *arguments: str) -> ServiceProcess:
    return ServiceProcess(secured.folder / name, name, *arguments, settings=secured.settings(name))


def test_from_a_component_to_a_row_and_a_message_every_program_works_with_its_role(secured: Secured):
    (secured.folder / "app.yaml").write_text(DEFINITION)
    secured.mcenter("operator", "mlapps", "apply", str(secured.folder / "app.yaml"))
    with http_receiver() as receiver:
        file = secured.folder / "notifications.yaml"
        file.write_text(NOTIFICATIONS.replace("PORT", str(receiver.port)))
        with (
            service(secured, "sink") as sink,
            service(secured, "processors") as processors,
            service(secured, "notifier", "--file", str(file)) as notifier,
            clickhouse_client(secured.superuser.clickhouse) as client,
        ):
            secured.run("producer", "-c", COMPONENT)
            wait_for(lambda: client.execute("SELECT count() FROM statistics") == [(1,)], sink.log)
            wait_for(
                lambda: client.execute("SELECT count() FROM alert_transitions") == [(1,)], processors.log
            )
            wait_for(lambda: receiver.posts, notifier.log)
    assert '"share"' in secured.mcenter("reader", "tail", "statistics", "--json")
    assert "as the catalogue defines" in secured.mcenter("reader", "topics", "check")


def test_a_component_with_a_spool_needs_its_own_role(secured: Secured):
    spool = f"import os; os.environ['MCENTER_COMPONENT_SPOOL_FOLDER'] = {str(secured.folder / 'spool')!r}\n"
    secured.run("spooling-producer", "-c", spool + COMPONENT)
    assert '"share"' in secured.mcenter("reader", "tail", "statistics", "--json")


def test_an_agent_takes_what_an_operator_asks_of_it(secured: Secured):
    where = ("--name", "host-a", "--data", str(secured.folder / "agent-data"))
    with service(secured, "agent", *where) as agent:
        secured.mcenter("operator", "agents", "drain", "host-a", "--comment", "new kernel")
        wait_for(
            lambda: '"drained"' in secured.mcenter("reader", "agents", "list", "--format", "json"), agent.log
        )


@pytest.mark.parametrize(
    "mechanism", [pytest.param("SCRAM-SHA-256", marks=pytest.mark.long), "SCRAM-SHA-512"]
)
def test_both_mechanisms_are_known_to_librdkafka_and_to_the_processors(secured: Secured, mechanism: str):
    settings = secured.settings("processors", mechanism)
    assert connect(settings, DEADLINE_S)[1].brokers
    with ServiceProcess(secured.folder / "worker", "processors", settings=settings) as worker:
        assert worker.terminate() == 0, worker.log()


def test_a_client_certificate_is_enough_where_the_broker_asks_for_one(secured: Secured):
    kafka = secured.broker.certified("processors-host")
    grant(secured.superuser, ROLES["processors"], "User:CN=processors-host")
    with ServiceProcess(
        secured.folder / "worker", "processors", settings=secured.with_kafka(kafka)
    ) as worker:
        assert worker.terminate() == 0, worker.log()


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("sink", {"sasl_password": "wrong"}, "uthentication"),
        ("processors", {"ssl_ca_location": ""}, "certificate"),
        pytest.param("processors", {"sasl_password": "wrong"}, "uthentication", marks=pytest.mark.long),
        pytest.param("sink", {"ssl_ca_location": ""}, "certificate", marks=pytest.mark.long),
    ],
)
def test_what_is_wrong_with_a_connection_is_said(
    secured: Secured, name: str, change: dict[str, str], says: str
):
    settings = secured.settings(name)
    wrong = dataclasses.replace(settings, kafka=dataclasses.replace(settings.kafka, **change))
    program = ServiceProcess(secured.folder / name, name, settings=wrong)
    with program.gone_at_the_end():
        program.start(wait=False)
        wait_for(lambda: says in program.log(), program.log)
        assert "secret of" not in program.log()


def test_the_broker_lets_each_role_do_what_the_table_says_and_nothing_else(secured: Secured):
    for role in ROLES:
        kafka = secured.settings(role).kafka
        names = {topic.full_name(kafka.topic_prefix): topic.name for topic in CATALOGUE}
        assert topic_operations(kafka, list(names)) == {
            full: expected(kafka, role, name) for full, name in names.items()
        }, role


def test_the_audit_log_is_written_by_those_who_check_people_and_by_operators_only():
    writers = {
        name
        for name, role in ROLES.items()
        for right in rights_of(role, "mlops.")
        if right.kind == "TOPIC" and "WRITE" in right.operations and "mlops.actions".startswith(right.name)
        if right.is_prefix or right.name == "mlops.actions"
    }
    assert writers == {"server", "operator", "admin"}


def test_a_command_is_recorded_with_the_user_that_the_brokers_have_checked(secured: Secured):
    silence = ("alerts", "silence", "mlapp=app", "--for", "1h", "--comment", "planned")
    secured.mcenter("operator", *silence)
    secured.mcenter("operator", *silence, "--who", "somebody else")
    records = [
        json.loads(line)
        for line in secured.mcenter("reader", "tail", "actions", "--json").splitlines()
        if line[:1] == "{"
    ]
    found = [json.dumps(record) for record in records]
    assert len(found) == 2
    assert '"authenticated_by": "broker_principal"' in found[0]
    assert '"who": "operator"' in found[0]
    assert '"authenticated_by": "unverified_local_user"' in found[1]


def test_who_may_not_write_the_audit_log_acts_through_the_server(secured: Secured):
    (secured.folder / "app.yaml").write_text(DEFINITION)
    (secured.folder / "sales.csv").write_text("kpi,timestamp,value\nsales,2026-06-01,1000.5\n")
    acts = (
        ("mlapps", "apply", str(secured.folder / "app.yaml")),
        ("alerts", "silence", "mlapp=app", "--for", "1h", "--comment", "planned"),
        ("kpis", "upload", str(secured.folder / "sales.csv"), "--mlapp", "app"),
    )
    for each in acts:
        assert "uthorization" in secured.mcenter("reader", *each, exit_code=1)
    with (
        opened_database(f"sqlite:///{secured.folder / 'server.db'}") as database,
        served(make_context(secured.settings("server"), database)) as url,
        signed_in(database, "ada").client(url) as ada,
    ):
        token = ada.post("/api/v1/me/tokens", json={"name": "commands"}).json()["token"]
        by_server = ServerSettings(url=url, token=token)
        for each in acts:
            secured.mcenter("reader", *each, server=by_server)
    lines = secured.mcenter("reader", "tail", "actions", "--json").splitlines()
    done = [json.loads(line)["value"] for line in lines if line.startswith("{")]
    told = {each["action"]: (each["who"], each["authenticated_by"]) for each in done}
    assert told["apply_definition"] == told["silence"] == told["upload_kpis"] == ("ada", "token")
    assert "sales" in secured.mcenter("reader", "tail", "kpis", "--json")


def expected(kafka: KafkaSettings, role: str, name: str) -> set[str]:
    """Operations by the table of roles; READ and WRITE imply DESCRIBE, ALTER_CONFIGS implies DESCRIBE_CONFIGS."""
    full = f"{kafka.topic_prefix}{name}"
    return {
        operation
        for right in rights_of(ROLES[role], kafka.topic_prefix)
        if right.kind == "TOPIC" and (full.startswith(right.name) if right.is_prefix else full == right.name)
        for operation in right.operations
    }


def topic_operations(kafka: KafkaSettings, names: list[str]) -> dict[str, set[str]]:
    """What the broker says that this user may do, by topic."""
    admin = AdminClient(client_config(kafka))
    asked = admin.describe_topics(TopicCollection(names), include_authorized_operations=True)
    found: dict[str, set[str]] = {}
    for name, future in asked.items():
        try:
            found[name] = {operation.name for operation in future.result(DEADLINE_S).authorized_operations}
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise
            found[name] = set()
    return found


def test_who_acts_drops_dead_letters_and_who_sets_up_sends_them_again(secured: Secured):
    drop = ("dead-letters", "drop", "--comment", "test data", "--yes")
    assert "there is nothing to drop" in secured.mcenter("operator", *drop)
    assert "there is nothing to send" in secured.mcenter("admin", "dead-letters", "replay", "--yes")
    assert "uthorization" in secured.mcenter("reader", *drop, exit_code=1)


def test_what_a_role_may_not_do_is_refused_with_a_reason(secured: Secured):
    (secured.folder / "app.yaml").write_text(DEFINITION)
    secured.run("producer", "-c", COMPONENT)
    refused = {
        ("reader", "mlapps", "apply", str(secured.folder / "app.yaml")): "uthorization",
        ("producer", "tail", "statistics"): "uthorization",
        ("stranger", "topics", "check"): "may not see",
        ("operator", "topics", "acls", "--grant", "admin=User:operator"): "ALTER on the cluster",
    }
    for (user, *arguments), says in refused.items():
        assert says in secured.mcenter(user, *arguments, exit_code=1)
    # Another's consumer group, and with it the positions of the sink.
    settings = secured.settings("processors")
    options = ("--group", f"{settings.kafka.topic_prefix}processors")
    sink = ServiceProcess(secured.folder / "thief", "sink", *options, settings=secured.settings("sink"))
    with sink.gone_at_the_end():
        sink.start(wait=False)
        wait_for(lambda: "uthorization" in sink.log(), sink.log)
        assert not sink.is_ready()

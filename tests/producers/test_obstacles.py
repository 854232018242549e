"""Whatever keeps reports from being delivered: ``done()`` ends in time, and the log names the true cause and what was lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.producers.conftest import DEADLINE_S
from tests.producers.unused_port import address_of, unused_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.producers.conftest import Component

PROMISED_S = 2.0
"""What ``done()`` takes at most when nothing can be delivered."""
MACHINE_S = 1.9
"""What a busy machine may add; waiting for anything twice would take longer."""

REPORT = """
import json, time
from parallelm.mlops import mlops
mlops.init()
for _ in range(3):
    mlops.set_stat("rows", 1.0)
mlops.data_alert("late shipment", "")
started = time.monotonic()
mlops.done()
print(json.dumps([time.monotonic() - started, mlops.dropped()]))
"""

PUBLISH = """
import json, time
from pathlib import Path
from parallelm.mlops import mlops
mlops.init()
Path("weights.txt").write_text("w" * 1000)
model = mlops.Model("m", "Text")
model.set_model_path("weights.txt")
mlops.publish_model(model)
mlops.set_stat("rows", 1.0)
started = time.monotonic()
mlops.done()
print(json.dumps([time.monotonic() - started, mlops.dropped()]))
"""

HANGING_STORE = """
import fsspec, threading
class Hanging(fsspec.AbstractFileSystem):
    protocol = "hanging"
    def hang(self, *_, **__):
        threading.Event().wait()
    makedirs = put_file = exists = info = hang
fsspec.register_implementation("hanging", Hanging)
"""

SLOW_STORE = """
import fsspec, shutil, time
class Slow(fsspec.AbstractFileSystem):
    protocol = "slow"
    def makedirs(self, *_, **__): pass
    def mv(self, *_, **__): pass
    def info(self, path, **_): raise FileNotFoundError(path)
    def put_file(self, local, path, **options):
        time.sleep(4)
        shutil.copyfile(local, "uploaded.txt")
fsspec.register_implementation("slow", Slow)
"""


@pytest.fixture
def refusing() -> Iterator[str]:
    """Address of a port that refuses connections."""
    with unused_port() as no_broker:
        yield address_of(no_broker)


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a port that takes connections and answers nothing."""
    with unused_port() as no_broker:
        no_broker.listen()
        yield address_of(no_broker)


def run(component: Component, program: str, **environment: str) -> tuple[float, dict[str, int], str]:
    """Seconds that ``done()`` took, what was dropped, and the log."""
    promised = {"MCENTER_COMPONENT_CLOSE_TIMEOUT_S": str(PROMISED_S)}
    with component.start(program, **(promised | environment)) as process:
        out, log = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, log
    assert "Traceback" not in log
    took_s, dropped = json.loads(out)
    return took_s, dropped, log


CAUSES = {
    "broker away": (
        {"MCENTER_KAFKA_BOOTSTRAP_SERVERS": "{refusing}"},
        ["Kafka at '{refusing}' does not answer", "Connection refused"],
    ),
    "broker silent": (
        {"MCENTER_KAFKA_BOOTSTRAP_SERVERS": "{silent}"},
        ["Kafka at '{silent}' does not answer"],
    ),
    "no broker named": (
        {"MCENTER_KAFKA_BOOTSTRAP_SERVERS": ""},
        ["MCENTER_KAFKA_BOOTSTRAP_SERVERS is empty"],
    ),
    "only a comma": (
        {"MCENTER_KAFKA_BOOTSTRAP_SERVERS": " , "},
        ["MCENTER_KAFKA_BOOTSTRAP_SERVERS is empty"],
    ),
    "wrong prefix": (
        {"MCENTER_KAFKA_TOPIC_PREFIX": "misspelt."},
        ["topic 'misspelt.statistics'", "does not exist; check MCENTER_KAFKA_TOPIC_PREFIX"],
    ),
    "prefix that is not allowed": (
        {"MCENTER_KAFKA_TOPIC_PREFIX": "our topics."},
        [
            "topic 'our topics.statistics'",
            "is not a name that Kafka accepts; check MCENTER_KAFKA_TOPIC_PREFIX",
        ],
    ),
    "registry away": (
        {"MCENTER_SCHEMA_REGISTRY_URL": "http://{refusing}"},
        ["the schema registry at http://{refusing} did not answer", "check MCENTER_SCHEMA_REGISTRY_URL"],
    ),
    "registry silent": (
        {"MCENTER_SCHEMA_REGISTRY_URL": "http://{silent}"},
        ["the schema registry at http://{silent} has not answered", "check MCENTER_SCHEMA_REGISTRY_URL"],
    ),
    "registry of another scheme": (
        {"MCENTER_SCHEMA_REGISTRY_URL": "ftp://{refusing}"},
        ["MCENTER_SCHEMA_REGISTRY_URL is 'ftp://{refusing}'"],
    ),
    "password refused": (
        {
            "MCENTER_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "MCENTER_KAFKA_SASL_MECHANISM": "PLAIN",
            "MCENTER_KAFKA_SASL_USERNAME": "component",
            "MCENTER_KAFKA_SASL_PASSWORD": "wrong",
        },
        ["check MCENTER_KAFKA_SASL_"],
    ),
    "mechanism unknown": (
        {"MCENTER_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "MCENTER_KAFKA_SASL_MECHANISM": "MAGIC"},
        ["the Kafka client refuses its settings", "MAGIC"],
    ),
    "certificate file missing": (
        {"MCENTER_KAFKA_SECURITY_PROTOCOL": "SSL", "MCENTER_KAFKA_SSL_CA_LOCATION": "/missing/ca.pem"},
        [
            "the Kafka client refuses its settings",
            "MCENTER_KAFKA_SSL_CA_LOCATION, which names '/missing/ca.pem'",
        ],
    ),
    "TLS, but the broker has none": (
        {"MCENTER_KAFKA_SECURITY_PROTOCOL": "SSL"},
        ["check MCENTER_KAFKA_SECURITY_PROTOCOL"],
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_done_ends_in_time_and_names_the_cause_and_what_was_lost(
    component: Component, refusing: str, silent: str, cause: str
) -> None:
    environment, output = CAUSES[cause]
    addresses = {"refusing": refusing, "silent": silent}
    took_s, dropped, log = run(
        component, REPORT, **{name: value.format(**addresses) for name, value in environment.items()}
    )
    assert took_s < PROMISED_S + MACHINE_S
    assert sum(dropped.values()) == 4
    line = "; ".join(line for line in log.splitlines() if line.startswith("reports dropped"))
    assert "3 x statistic 'rows'" in line
    assert "event 'late shipment'" in line
    for words in output:
        assert words.format(**addresses) in line
    assert ("does not answer" in line) == cause.startswith("broker ")


STORES = {
    "scheme unknown": (
        {"MCENTER_ARTIFACTS_URL": "nosuch://bucket/models"},
        ["nosuch://bucket/models", "Protocol not known"],
    ),
    "options misspelt": (
        {"MCENTER_ARTIFACTS_OPTIONS_JSON": "{endpoint"},
        ["MCENTER_ARTIFACTS_OPTIONS_JSON"],
    ),
    "store not writable": ({"MCENTER_ARTIFACTS_URL": "file:///dev/null/models"}, ["/dev/null/models"]),
    "store hangs": ({"MCENTER_ARTIFACTS_URL": "hanging://models"}, ["hanging://models"]),
}


@pytest.mark.parametrize("cause", STORES)
def test_a_model_that_the_store_does_not_take_waits_in_the_outbox_and_is_not_dropped(
    component: Component, cause: str
) -> None:
    environment, output = STORES[cause]
    took_s, dropped, log = run(component, HANGING_STORE + PUBLISH, **environment)
    assert took_s < PROMISED_S + MACHINE_S
    assert dropped == {}
    assert "Kafka" not in log
    (line,) = (line for line in log.splitlines() if line.startswith("models wait in the outbox"))
    assert component.settings.component.outbox_folder in line
    assert "model 'm' of 1,000 bytes" in line
    for words in output:
        assert words in line
    assert len(component.samples("rows", 1)) == 1


def test_models_for_another_store_stay_in_the_outbox_and_are_named(component: Component) -> None:
    run(component, PUBLISH, MCENTER_ARTIFACTS_URL="nosuch://bucket/models")
    _, _, log = run(component, PUBLISH)
    assert "holds models for another topic prefix or artifact store" in log
    assert "'m' for " in log
    assert "nosuch://bucket/models" in log
    assert len(component.records("models", bool)) == 1
    _, _, log = run(component, PUBLISH, MCENTER_ARTIFACTS_OPTIONS_JSON="{endpoint")
    component.run("from parallelm.mlops import mlops; mlops.init(); mlops.done()")
    assert len(component.records("models", lambda found: len(found) >= 2)) == 2


def test_an_upload_that_takes_its_time_is_waited_for(component: Component) -> None:
    took_s, dropped, log = run(component, SLOW_STORE + PUBLISH, MCENTER_ARTIFACTS_URL="slow://models")
    assert took_s > PROMISED_S
    assert dropped == {}
    assert "outbox" not in log
    assert len(component.records("models", bool)) == 1


def test_a_model_published_without_a_broker_is_not_dropped(component: Component, refusing: str) -> None:
    _, dropped, log = run(component, PUBLISH, MCENTER_KAFKA_BOOTSTRAP_SERVERS=refusing)
    assert dropped == {"closed": 1}
    assert "1 closed: statistic 'rows'" in log
    assert "models wait in the outbox" in log
    assert f"Kafka at '{refusing}' does not answer" in log.split("models wait in the outbox")[1]


def test_reports_in_the_spool_are_not_dropped(component: Component, refusing: str) -> None:
    _, dropped, log = run(
        component,
        REPORT,
        MCENTER_KAFKA_BOOTSTRAP_SERVERS=refusing,
        MCENTER_COMPONENT_SPOOL_FOLDER=str(component.folder / "spool"),
    )
    assert dropped == {}
    assert "dropped" not in log
    assert f"records wait in the spool {component.folder / 'spool'}" in log


def test_what_is_too_large_is_named_with_its_size(component: Component) -> None:
    _, dropped, log = run(
        component,
        """
import json
from parallelm.mlops import mlops
from parallelm.mlops.stats.table import Table
mlops.init()
mlops.set_stat(Table().name("wide").cols(["a"]).add_row(["x" * 2_000_000]))
mlops.data_alert("long", "d", "y" * 3_000_000)
mlops.set_stat("rows", 1.0)
mlops.done()
print(json.dumps([0, mlops.dropped()]))
""",
    )
    assert dropped == {"too_large": 2}
    assert "statistic 'wide' of 2,000," in log
    assert "event 'long' of 3,000," in log
    assert "a record may take" in log
    assert len(component.samples("rows", 1)) == 1


def test_models_that_waited_go_out_in_the_order_of_publication(component: Component, refusing: str) -> None:
    published = [
        component.run(
            f"""
from pathlib import Path
from parallelm.mlops import mlops
mlops.init()
Path("weights.txt").write_text("w")
for number in range(3):
    model = mlops.Model(f"{process}-{{number}}", "Text")
    model.set_model_path("weights.txt")
    with mlops.event_time(f"2020-01-0{{9 - number}}"):
        print(mlops.publish_model(model))
mlops.done()
""",
            MCENTER_KAFKA_BOOTSTRAP_SERVERS=refusing,
            MCENTER_COMPONENT_CLOSE_TIMEOUT_S="0.1",
        ).split()
        for process in range(3)
    ]
    in_order = [model_id for of_process in published for model_id in of_process]
    assert in_order != sorted(in_order)
    component.run("from parallelm.mlops import mlops; mlops.init(); mlops.done()")
    announced = component.records("models", lambda found: len(found) >= len(in_order))
    assert [one.model_id for one in announced] == in_order
    assert [one.name for one in announced] == [
        f"{process}-{number}" for process in range(3) for number in range(3)
    ]


def test_done_with_nothing_to_send_waits_for_nothing(component: Component, silent: str) -> None:
    took_s, dropped, log = run(
        component,
        """
import json, time
from parallelm.mlops import mlops
mlops.init()
started = time.monotonic()
mlops.done()
print(json.dumps([time.monotonic() - started, mlops.dropped()]))
""",
        MCENTER_KAFKA_BOOTSTRAP_SERVERS=silent,
        MCENTER_COMPONENT_CLOSE_TIMEOUT_S="60",
    )
    assert took_s < PROMISED_S + MACHINE_S
    assert dropped == {}
    assert "dropped" not in log

"""Topics of one test on the real broker, and its notifier as a process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from parallelm.schemas.topic_admin import create_topics
from parallelm.schemas.topic_reader import StartPoint, read_topic
from parallelm.schemas.topics import ALERTS, DEPLOYMENTS, NOTIFICATIONS, NOTIFIER_STATE, Topic
from tests.service_process import ServiceProcess
from tests.stream_processors.live import Cluster
from tests.waiting import DEADLINE_S, wait_for

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from parallelm.connections import Settings
    from parallelm.schemas.records import AlertTransition, DeploymentTransition, Notification

SECRET = "kQ7zVn3pTs9w"  # noqa: S105 - it must appear nowhere

RULES = """\
receivers:
  - name: team
    give_up_after: {give_up}
    targets:
      - {{type: webhook, url: "http://127.0.0.1:{port}{path}?token=${{HOOK_TOKEN}}"}}
  - name: nobody
alerts:
  receiver: team
  group_by: [alertname, mlapp]
  group_wait: {wait}
  group_interval: 500ms
  repeat_interval: {repeat}
  routes:
    - {{matchers: [severity=info], receiver: nobody}}
"""


class Platform:
    """Topics of one test, and its notifier's file."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.cluster = Cluster(settings)
        self.file = folder / "notifications.yaml"

    def rules(self, text: str) -> None:
        self.file.write_text(text)

    def notifier(self, name: str = "n1", *more: str) -> ServiceProcess:
        arguments = ("notifier", "--file", str(self.file), "--session-timeout-s", "3", *more)
        environ = dict(os.environ) | {"HOOK_TOKEN": SECRET}
        return ServiceProcess(self.folder / name, *arguments, settings=self.settings, environ=environ)

    def send(self, *transitions: AlertTransition | DeploymentTransition) -> None:
        for transition in transitions:
            topic = DEPLOYMENTS if hasattr(transition, "deployment_id") else ALERTS
            self.cluster.send_bytes(topic, topic.key(transition), self.cluster.codec.encode(transition))
        self.cluster.flush()

    def make_again(self, topic: Topic) -> None:
        """Delete a topic and create it anew."""
        name = topic.full_name(self.settings.kafka.topic_prefix)
        self.cluster.admin.delete_topics([name])[name].result(DEADLINE_S)
        wait_for(lambda: name not in self.cluster.admin.list_topics(timeout=DEADLINE_S).topics)
        create_topics(self.settings, timeout_s=DEADLINE_S)

    def history(self) -> list[Notification]:
        return sorted(self._all(NOTIFICATIONS), key=lambda each: (each.event_time_ms, each.attempts))

    def states(self) -> list[str]:
        return [each.state.value for each in self.history()]

    def _all(self, topic: Topic) -> list[Any]:
        name = topic.full_name(self.settings.kafka.topic_prefix)
        records = read_topic(self.settings, name, StartPoint("beginning"), follow=False)
        return [self.cluster.codec.decode(record.value) for record in records if record.value is not None]

    def wait_until_sent(self, count: int) -> None:
        """Until so many are recorded: a kill before that repeats one."""
        wait_for(lambda: self.states().count("sent") == count, self.states)

    def stored_text(self) -> str:
        return repr(self._all(NOTIFIER_STATE)) + repr(self.history())


def rules(
    port: int, path: str = "/hook", *, wait: str = "200ms", repeat: str = "4h", give_up: str = "1d"
) -> str:
    return RULES.format(port=port, path=path, wait=wait, repeat=repeat, give_up=give_up)

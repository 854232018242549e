"""Sends dead letters to the topics that they came from again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from parallelm.connections.kafka import client_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings
    from parallelm.warehouse.queries import DeadLetterRecord

_TIMEOUT_S = 30.0


def replay(settings: Settings, letters: Sequence[DeadLetterRecord]) -> None:
    """Send the records with their old keys; raises ``click.ClickException`` when the broker does not take all."""
    from confluent_kafka import KafkaException, Producer

    producer = Producer(client_config(settings.kafka, enable_idempotence=True, partitioner="murmur2_random"))
    failures: list[str] = []

    def delivered(error: object, _message: object) -> None:
        if error is not None:
            failures.append(str(error))

    try:
        for letter in letters:
            producer.produce(letter.source_topic, letter.value, letter.key, on_delivery=delivered)
            producer.poll(0)
        left = producer.flush(_TIMEOUT_S)
    except (KafkaException, BufferError) as error:
        raise click.ClickException(f"dead letters cannot be sent again: {error}") from error
    if failures or left:
        reason = failures[0] if failures else f"no answer within {_TIMEOUT_S:g} s"
        raise click.ClickException(
            f"{len(failures) + left} of {len(letters)} records are not known to have arrived: {reason}"
        )

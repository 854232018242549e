"""What a sample of a ``StatisticsBatch`` costs to encode and to decode, beside plain fastavro in the same run."""

from __future__ import annotations

import io
import statistics
import timeit
from array import array
from typing import TYPE_CHECKING, Any

import fastavro

from parallelm.schemas import packaged
from parallelm.schemas.codec import Codec, parse
from parallelm.schemas.records import Origin, Series, StatisticsBatch
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.series_key import SeriesKey
from parallelm.schemas.slicing import StatisticsDecoder
from parallelm.schemas.statistics_encoder import StatisticsEncoder, series_header

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 11
SAMPLES_A_ROUND = 60_000
SAMPLES_A_SERIES = 100
ORIGIN = Origin(mlapp_id="flight-delays", node_id="predict", pipeline_instance_id="pi-1", agent_id="host-7")
PEER = "fastavro"


def batch(samples: int) -> StatisticsBatch:
    """One record of ``samples`` samples, at most 100 a series."""
    sizes = [min(SAMPLES_A_SERIES, samples - start) for start in range(0, samples, SAMPLES_A_SERIES)]
    return StatisticsBatch(
        origin=ORIGIN,
        producer_id="0123456789abcdef",
        seq=7,
        series=[
            Series(
                name=f"pipelinestat.count.{number}",
                model_id="model-0001",
                category="TIME_SERIES",
                graph_type="LINEGRAPH",
                labels={"carrier": "UA"},
                timestamps_ms=array("d", [1.7e12 + place for place in range(size)]),
                values=array("d", [place / 7 for place in range(size)]),
            )
            for number, size in enumerate(sizes)
        ],
    )


def encoders(record: StatisticsBatch) -> dict[str, Callable[[], bytes]]:
    """Ways to make the record's bytes from samples in arrays, as the component library holds them."""
    registry = PackagedRegistry()
    schema, codec = parse(packaged.current("StatisticsBatch").text), Codec(registry)
    encoder = StatisticsEncoder(registry, record.origin, record.producer_id)
    headers = [
        series_header(
            SeriesKey(one.name, one.model_id, one.category, one.graph_type, labels=tuple(one.labels.items()))
        )
        for one in record.series
    ]
    columns = [(array("d", one.timestamps_ms), array("d", one.values)) for one in record.series]
    datum: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(codec.encode(record)[5:]), schema, None)

    def ours() -> bytes:
        for header, (timestamps_ms, values) in zip(headers, columns, strict=True):
            encoder.add(header, timestamps_ms, values)
        return encoder.take(record.seq)

    def peer() -> bytes:
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, schema, datum)
        return buffer.getvalue()

    return {PEER: peer, "slices": ours, "codec": lambda: codec.encode(record)}


def decoders(data: bytes) -> dict[str, Callable[[], object]]:
    """Ways to read the record: dicts, slices for ClickHouse, dataclasses."""
    registry = PackagedRegistry()
    schema, codec, decoder = (
        parse(packaged.current("StatisticsBatch").text),
        Codec(registry),
        StatisticsDecoder(registry),
    )
    return {
        PEER: lambda: fastavro.schemaless_reader(io.BytesIO(data[5:]), schema, None),
        "slices": lambda: decoder.decode(data),
        "codec": lambda: codec.decode(data),
    }


def nanoseconds(calls: dict[str, Callable[[], object]], samples: int) -> dict[str, float]:
    """Median nanoseconds a sample; the candidates take turns so that noise hits all alike."""
    repeats = max(20, SAMPLES_A_ROUND // samples)
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            took[name].append(timeit.timeit(call, number=repeats) / repeats / samples * 1e9)
    return {name: statistics.median(times) for name, times in took.items()}


def main() -> None:
    """Print a line for each size of record: nanoseconds a sample, and how many times faster than fastavro."""
    print(f"{'':8}{'samples':>8}{'bytes':>8}  {PEER:>12}  {'slices':>20}  {'codec':>20}")
    for samples in (1, 10, 100, 1000):
        record = batch(samples)
        data = Codec(PackagedRegistry()).encode(record)
        for what, calls in (("encode", encoders(record)), ("decode", decoders(data))):
            cost = nanoseconds(calls, samples)
            told = "  ".join(
                f"{cost[name]:9.1f} ns ({cost[PEER] / cost[name]:4.1f}x)" for name in ("slices", "codec")
            )
            print(f"{what:8}{samples:8}{len(data):8}  {cost[PEER]:9.1f} ns  {told}")


if __name__ == "__main__":
    main()

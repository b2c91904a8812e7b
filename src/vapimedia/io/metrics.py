"""A snapshot as metrics for Prometheus: base units, no label that a call or a caller would add to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from vapimedia.io.snapshot import Snapshot
from vapimedia.media import Distribution, distribution

__all__ = ["expose"]

_END = b"# EOF\n"  # of OpenMetrics
_NS = 1e9
_HOP_BOUNDS_S = (
    *(2e-6, 5e-6, 10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6),
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
_BYTES = 1024.0  # backlogs are counted in parts of a byte
_BACKLOG_BOUNDS = (1.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0)
_LAG_BOUNDS_S = (
    50e-6,
    100e-6,
    200e-6,
    500e-6,
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1.0,
    5.0,
)


def expose(snapshot: Snapshot, accept: str = "") -> tuple[Iterator[bytes], str]:
    """Return *snapshot* in the exposition format that *accept* (a request's header) asks for, and its content type.

    The text comes in parts, each of which costs less than a millisecond or two: between them media has its turn.
    """
    encode, content_type = choose_encoder(accept)

    def parts() -> Iterator[bytes]:
        for metric in _Families(snapshot).all():
            registry = CollectorRegistry(auto_describe=False)
            registry.register(_One(metric))
            yield encode(registry).removesuffix(_END)
        if "openmetrics" in content_type:
            yield _END

    return parts(), content_type


class _One(Collector):
    """One metric, scraped once."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self._metric]


class _Families:
    """The metrics of a snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def all(self) -> Iterator[Metric]:
        snapshot = self._snapshot
        info = GaugeMetricFamily(
            "vapimedia_build_info", "Always 1; the labels tell what runs.", labels=["version", "simd"]
        )
        info.add_metric([snapshot.version, snapshot.simd], 1)
        yield info
        yield GaugeMetricFamily("vapimedia_calls", "Calls that live now.", len(snapshot.calls))
        yield _counter("vapimedia_calls_ended", "Calls that ended, by reason.", "reason", snapshot.ended)
        yield _counter(
            "vapimedia_irregularities",
            "What was dropped, unknown, malformed or stale.",
            "what",
            snapshot.counters,
        )
        yield CounterMetricFamily(
            "vapimedia_barge_ins", "Times a caller interrupted the assistant.", snapshot.barge_ins
        )
        yield from self._media()
        yield self._backlogs()
        yield from self._workers()

    def _media(self) -> Iterator[Metric]:
        messages = CounterMetricFamily(
            "vapimedia_media_messages", "Media messages.", labels=["path", "direction"]
        )
        audio = CounterMetricFamily(
            "vapimedia_audio_seconds", "Audio, by what became of it.", labels=["path", "fate"]
        )
        hops = HistogramMetricFamily(
            "vapimedia_hop_seconds", "From a message's arrival to the end of a hop.", labels=["path", "hop"]
        )
        for name, path in self._snapshot.paths.items():
            messages.add_metric([name, "in"], path.messages_in)
            messages.add_metric([name, "out"], path.messages_out)
            for fate, duration_ms in path.audio_ms.items():
                audio.add_metric([name, fate], duration_ms / 1000)
            for hop, durations in path.hops.items():
                _add_histogram(hops, [name, hop], durations, _HOP_BOUNDS_S, _NS)
        yield from (messages, audio, hops)
        yield CounterMetricFamily(
            "vapimedia_gaps",
            "Times a caller heard a hole inside an utterance.",
            sum(path.gaps for path in self._snapshot.paths.values()),
        )
        yield CounterMetricFamily(
            "vapimedia_gap_seconds",
            "How long these holes were.",
            sum(path.gap_ms for path in self._snapshot.paths.values()) / 1000,
        )

    def _backlogs(self) -> Metric:
        family = HistogramMetricFamily(
            "vapimedia_socket_backlog_bytes",
            "What waited to be sent to a leg, each socket looked at once a second.",
            labels=["leg", "where"],
        )
        for one in self._snapshot.backlogs:
            _add_histogram(family, [one.leg, one.where], one.sizes, _BACKLOG_BOUNDS, _BYTES)
        return family

    def _workers(self) -> Iterator[Metric]:
        n_alive = len(self._snapshot.workers)
        yield GaugeMetricFamily("vapimedia_workers", "Processes that carry calls and have answered.", n_alive)
        restarts = self._snapshot.restarts
        yield CounterMetricFamily(
            "vapimedia_worker_restarts", "Workers that were started in place of others.", restarts
        )
        label = ["worker"]
        calls = GaugeMetricFamily("vapimedia_worker_calls", "Calls that live in a worker.", labels=label)
        cpu = CounterMetricFamily("vapimedia_worker_cpu_seconds", "Processor time of a worker.", labels=label)
        memory = GaugeMetricFamily(
            "vapimedia_worker_resident_memory_bytes", "Resident memory of a worker.", labels=label
        )
        allocated = GaugeMetricFamily(
            "vapimedia_worker_allocated_bytes",
            "What the C library's allocator has given out in a worker.",
            labels=label,
        )
        blocks = GaugeMetricFamily(
            "vapimedia_worker_python_blocks",
            "What Python's allocator has given out in a worker.",
            labels=label,
        )
        lag = HistogramMetricFamily(
            "vapimedia_loop_lag_seconds", "How late a worker's media timer was.", labels=label
        )
        for worker in self._snapshot.workers:
            name = [str(worker.worker)]
            calls.add_metric(name, worker.calls)
            cpu.add_metric(name, worker.cpu_s)
            if worker.memory_bytes is not None:
                memory.add_metric(name, worker.memory_bytes)
            if worker.allocated_bytes is not None:
                allocated.add_metric(name, worker.allocated_bytes)
            blocks.add_metric(name, worker.python_blocks)
            _add_histogram(lag, name, worker.loop_lag, _LAG_BOUNDS_S, _NS)
        yield from (calls, cpu, memory, allocated, blocks, lag)


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family


def _add_histogram(
    family: HistogramMetricFamily,
    labels: list[str],
    values: Distribution,
    bounds: tuple[float, ...],
    per_unit: float,
) -> None:
    counts = distribution.counts_up_to(values, [bound * per_unit for bound in bounds])
    buckets: list[tuple[str, float]] = [
        (f"{bound:g}", count) for bound, count in zip(bounds, counts, strict=True)
    ]
    family.add_metric(labels, [*buckets, ("+Inf", values.count)], values.sum / per_unit)

"""The admin port: metrics for Prometheus, live calls as JSON, health. Loopback unless told otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge
    from vapimedia.media import HopStats, PathStats
    from vapimedia.session import CallSummary

__all__ = ["admin_app"]

_LOSSES = (
    "dropped_flood_ms",
    "dropped_overflow_ms",
    "dropped_closed_ms",
    "dropped_wrong_size_ms",
    "cleared_ms",
    "inserted_silence_ms",
)


def admin_app(bridge: Bridge) -> web.Application:
    """Return the application behind the admin port."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_BridgeCollector(bridge))

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def calls(_request: web.Request) -> web.Response:
        # Summaries hold ids and figures, neither numbers nor words.
        return web.Response(
            body=msgspec.json.encode([call.summary() for call in bridge.calls]),
            content_type="application/json",
        )

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/calls", calls)
    app.router.add_get("/healthz", healthz)
    return app


class _BridgeCollector(Collector):
    """Reads the bridge when it is scraped; nothing is counted twice on the way."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def collect(self) -> Iterable[Metric]:
        bridge = self._bridge
        # Each costs a few us, and media waits meanwhile: one look at each call must do.
        live = [call.summary() for call in bridge.calls]
        yield GaugeMetricFamily("vapimedia_calls", "Calls that live now.", len(live))
        ended = CounterMetricFamily(
            "vapimedia_calls_ended", "Calls that ended, by reason.", labels=["reason"]
        )
        for reason, count in bridge.book.ended_by_reason.items():
            ended.add_metric([reason], count)
        yield ended
        counted = CounterMetricFamily(
            "vapimedia_irregularities", "What was dropped, unknown, malformed or stale.", labels=["what"]
        )
        for what, count in bridge.counters.items():
            counted.add_metric([what], count)
        yield counted
        lag = bridge.loop_lag
        if lag is not None:
            yield from _quantiles(
                "vapimedia_loop_lag_us", "How late the media timer was, in us.", [("", lag)]
            )
        yield from self._paths(live)

    def _paths(self, live: Sequence[CallSummary]) -> Iterator[Metric]:
        messages = CounterMetricFamily(
            "vapimedia_media_messages", "Media messages, ended calls included.", labels=["path", "direction"]
        )
        audio = CounterMetricFamily(
            "vapimedia_audio_ms", "Audio that did not go straight through, in ms.", labels=["path", "fate"]
        )
        for name, totals in self._bridge.book.media_totals(live).items():
            messages.add_metric([name, "in"], totals["messages_in"])
            messages.add_metric([name, "out"], totals["messages_out"])
            for fate in _LOSSES:
                audio.add_metric([name, fate.removesuffix("_ms")], totals[fate])
        yield messages
        yield audio
        hops = [
            (f"{name}.{hop}", figure)
            for summary in live
            for name, stats in (("uplink", summary.uplink), ("downlink", summary.downlink))
            for hop, figure in _hops(stats)
        ]
        worst: dict[str, HopStats] = {}
        for name, figure in hops:
            if name not in worst or figure.p99_us > worst[name].p99_us:
                worst[name] = figure
        yield from _quantiles(
            "vapimedia_hop_us", "Latency of a hop in the live call where it is worst, in us.", worst.items()
        )


def _hops(stats: PathStats | None) -> Iterator[tuple[str, HopStats]]:
    if stats is not None:
        for hop in ("convert", "queue", "send"):
            figure = getattr(stats, hop)
            if figure is not None:
                yield hop, figure


def _quantiles(name: str, text: str, figures: Iterable[tuple[str, HopStats]]) -> Iterator[Metric]:
    gauge = GaugeMetricFamily(name, text, labels=["hop", "quantile"])
    for hop, figure in figures:
        gauge.add_metric([hop, "0.5"], figure.p50_us)
        gauge.add_metric([hop, "0.99"], figure.p99_us)
        gauge.add_metric([hop, "1"], figure.max_us)
    yield gauge

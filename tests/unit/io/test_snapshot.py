"""Snapshots add up, travel, and become metrics that Prometheus reads."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from vapimedia.io.metrics import expose
from vapimedia.io.snapshot import Backlog, CallFigures, MarkFigures, Snapshot, WorkerFigures, merge, retire
from vapimedia.io.totals import AUDIO_FATES, PathTotals
from vapimedia.media import Distribution, PathStats
from vapimedia.media.tally import Tally

METRICS = Path(__file__).parents[3] / "docs" / "metrics.md"
counts = st.integers(0, 1000)


def text(snapshot: Snapshot, accept: str = "") -> str:
    parts, content_type = expose(snapshot, accept)
    assert ("openmetrics" in content_type) == ("openmetrics" in accept)
    return b"".join(parts).decode()


def distribution(values: list[int]) -> Distribution:
    tally = Tally()
    for value in values:
        tally.add(value)
    return tally.read()


def call(worker: int, age_ms: float) -> CallFigures:
    return CallFigures(
        call_id=f"CA{worker}",
        vapi_call_id="v",
        provider="twilio",
        created_ns=5,
        started_ns=6,
        ended_ns=None,
        duration_ms=age_ms,
        end_reason=None,
        counters={},
        uplink=PathStats(messages_in=3),
        downlink=None,
        barge_ins=0,
        worker=worker,
        age_ms=age_ms,
        state="live",
        provider_format="mulaw/8000",
        vapi_format="mulaw/8000",
        caller_dbfs=-20.0,
        assistant_dbfs=None,
        marks=MarkFigures(0, "", ""),
        provider_backlog_bytes=0,
        vapi_backlog_bytes=0,
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    worker = draw(st.integers(0, 9))
    durations = distribution(draw(st.lists(st.integers(0, 10**9), max_size=10)))
    # Quarters add up exactly, in any order.
    audio_ms = {fate: draw(counts) / 4 for fate in AUDIO_FATES}
    path = PathTotals(
        messages_in=draw(counts),
        gaps=draw(counts),
        gap_ms=draw(counts) / 4,
        audio_ms=audio_ms,
        hops=dict.fromkeys(("convert", "queue"), durations),
    )
    calls = [call(worker, age) for age in draw(st.lists(st.floats(0, 1e6), max_size=3))]
    return Snapshot(
        version="1",
        simd="scalar",
        workers=[WorkerFigures(worker, 1, 2, len(calls), draw(counts), 1.5, 4096, durations)],
        calls=calls,
        ended=draw(st.dictionaries(st.sampled_from(["hang_up", "drain"]), counts)),
        counters=draw(st.dictionaries(st.sampled_from(["bad_mark", "late"]), counts)),
        barge_ins=draw(counts),
        paths={"uplink": path, "downlink": PathTotals()},
        backlogs=[Backlog("vapi", "user", durations)],
    )


def normal(snapshot: Snapshot) -> dict[str, object]:
    """What must not depend on the order of merging."""
    plain = msgspec.to_builtins(snapshot)
    for name in ("workers", "calls"):
        plain[name].sort(key=repr)
    return plain


@settings(max_examples=30)
@given(snapshots(), snapshots(), snapshots())
def test_merging_is_associative_and_in_any_order(a: Snapshot, b: Snapshot, c: Snapshot) -> None:
    whole = normal(merge([a, b, c]))
    assert normal(merge([merge([a, b]), c])) == normal(merge([c, merge([b, a])])) == whole
    assert normal(merge([a])) == normal(a)


@settings(max_examples=20)
@given(st.lists(snapshots(), min_size=1, max_size=3))
def test_a_merged_snapshot_has_every_call_the_oldest_first_and_every_worker(parts: list[Snapshot]) -> None:
    whole = merge(parts)
    ages = [call.age_ms for call in whole.calls]
    assert ages == sorted(ages, reverse=True) and len(ages) == sum(len(part.calls) for part in parts)
    assert [one.worker for one in whole.workers] == sorted(part.workers[0].worker for part in parts)


@settings(max_examples=20)
@given(snapshots())
def test_a_snapshot_survives_the_wire(snapshot: Snapshot) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=Snapshot) == snapshot


@settings(max_examples=20)
@given(snapshots(), snapshots())
def test_totals_of_a_worker_that_is_gone_stay_and_its_calls_have_ended(
    gone: Snapshot, other: Snapshot
) -> None:
    before, after = merge([gone, other]), merge([retire(gone), other])
    assert (after.counters, after.paths, after.barge_ins) == (before.counters, before.paths, before.barge_ins)
    assert (after.calls, after.workers) == (merge([other]).calls, other.workers)
    n_ended = sum(before.ended.values()) + len(gone.calls)
    assert sum(after.ended.values()) == n_ended


def test_no_snapshots_cannot_be_merged() -> None:
    with pytest.raises(ValueError, match="no snapshot"):
        merge([])


@settings(max_examples=20)
@given(st.lists(snapshots(), min_size=1, max_size=3))
def test_prometheus_reads_the_metrics_in_both_of_its_formats(parts: list[Snapshot]) -> None:
    snapshot = merge([msgspec.structs.replace(part, workers=[]) for part in parts])
    families = {family.name: family for family in read_text(text(snapshot))}
    openmetrics = text(snapshot, "application/openmetrics-text;version=1.0.0")
    assert {family.name for family in read_openmetrics(openmetrics)} == set(families)
    [calls] = families["vapimedia_calls"].samples
    assert calls.value == len(snapshot.calls)
    ended = families["vapimedia_calls_ended"].samples
    assert {one.labels["reason"]: one.value for one in ended} == snapshot.ended
    hops = families["vapimedia_hop_seconds"].samples
    uplink = [one for one in hops if one.labels["path"] == "uplink" and one.labels["hop"] == "queue"]
    durations = snapshot.paths["uplink"].hops["queue"]
    [total] = [one.value for one in uplink if one.name.endswith("_sum")]
    assert total == pytest.approx(durations.sum / 1e9)
    buckets = [one for one in uplink if one.name.endswith("_bucket")]
    assert [one.value for one in buckets] == sorted(one.value for one in buckets)
    assert (buckets[-1].labels["le"], buckets[-1].value) == ("+Inf", durations.count)


def test_every_metric_is_named_by_the_conventions_and_none_grows_with_the_calls() -> None:
    worker = WorkerFigures(0, 1, 2, 1, 1, 0.5, 4096, distribution([5_000]), 70_000, 300)
    paths = {name: PathTotals(hops={"send": distribution([7_000])}) for name in ("uplink", "downlink")}
    few, many = (
        text(
            Snapshot(
                "1", "avx2", [worker], [call(0, age) for age in range(n)], {"drain": 1}, {}, 0, paths, []
            )
        )
        for n in (1, 500)
    )
    assert len(few.splitlines()) == len(many.splitlines())
    for family in read_text(few):
        assert family.name.startswith("vapimedia_") and family.documentation
        assert not family.name.endswith(("_ms", "_us", "_ns", "_kb")), "base units only"
        for sample in family.samples:
            assert not set(sample.labels) & {"call", "call_id", "id"}
            if family.type == "counter":
                assert sample.name.endswith("_total")


@pytest.mark.skipif(not METRICS.exists(), reason="an installed package has no docs")
def test_every_metric_and_every_fate_of_audio_is_documented_and_nothing_else() -> None:
    page = METRICS.read_text(encoding="utf-8")
    one = WorkerFigures(0, 1, 2, 1, 1, 0.5, 4096, distribution([5_000]), 70_000, 300)
    backlogs = [Backlog("vapi", "user", distribution([1]))]
    paths = {"uplink": PathTotals(audio_ms={"sent": 20.0}, hops={"send": distribution([7_000])})}
    snapshot = Snapshot("1", "avx2", [one], [], {"drain": 1}, {"late": 1}, 0, paths, backlogs)
    told = {
        (family.name + "_total" * (family.type == "counter"), family.type, *labels_of(family))
        for family in read_text(text(snapshot))
    }
    rows = re.findall(r"^\| `(vapimedia_\w+)(?:\{([\w,]+)\})?` \| (\w+) \|", page, re.M)
    assert {(name, kind, *sorted(filter(None, labels.split(",")))) for name, labels, kind in rows} == told
    table = page[page.index("| `fate` |") : page.index("### Alerts")]
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?`) \|", table, re.M)))) - {"fate"} == set(
        AUDIO_FATES
    )
    for name in set(
        re.findall(r"vapimedia_\w+", page[page.index("### Alerts") : page.index("## `GET /calls`")])
    ):
        assert name.removesuffix("_bucket") in {row[0] for row in rows}, name


def labels_of(family: Metric) -> list[str]:
    return sorted({label for sample in family.samples for label in sample.labels} - {"le"})

"""What Prometheus scrapes: the figures of a live run's newest moment, in its text format. Deterministic.
Called by app.py.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from runtime.messaging import messages

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_HELP = {
    "video2act_up": "1 while a robot runs",
    "video2act_mode": "1 for the present mode of the safety layer, else 0",
    "video2act_holds_total": "HOLDs for a reason, not by an operator",
    "video2act_faults_total": "faults latched by the safety layer",
    "video2act_chunks_dropped_total": "chunks dropped because they came too late",
    "video2act_chunks_rejected_total": "chunks refused by the safety layer",
    "video2act_age_milliseconds": "age of the newest frame, chunk, condition or joint feedback",
    "video2act_rate_hertz": "frames, chunks and conditions per second",
    "video2act_ratio": "runs of System 1 for each run of System 2",
    "video2act_latency_milliseconds": "latency by stage, from frame to arms",
    "video2act_process_alive": "1 while a process is alive and makes progress",
    "video2act_process_restarts_total": "restarts of a process",
    "video2act_process_messages_hertz": "messages per second sent by a process",
    "video2act_process_lost_total": "messages to a process that it lost",
    "video2act_process_faults_total": "faults reported by or about a process",
    "video2act_recording_bytes": "size of the session file",
    "video2act_recording_lost_total": "messages that the recorder lost",
}
_COUNTED = "_total"  # the ending of a counter's name, which the library adds itself


def text(moment: dict[str, Any]) -> str:
    """All metrics; of an empty moment only that nothing runs."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Moment(moment))
    return generate_latest(registry).decode()


class _Moment(Collector):
    """A moment's figures for the library."""

    def __init__(self, moment: dict[str, Any]) -> None:
        self._moment = moment

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before it is asked for."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """All families, those without a figure too: a dashboard may ask for them."""
        families = {name: _family(name, about) for name, about in _HELP.items()}
        for name, labels, figure in _samples(self._moment):
            if figure is not None:
                families[name].add_sample(name, labels, float(figure))
        return families.values()


def _family(name: str, about: str) -> Metric:
    if name.endswith(_COUNTED):
        return CounterMetricFamily(name.removesuffix(_COUNTED), about, labels=())
    return GaugeMetricFamily(name, about, labels=())


Sample = tuple[str, dict[str, str], float | None]


def _samples(moment: dict[str, Any]) -> Iterator[Sample]:
    yield "video2act_up", {}, float(bool(moment))
    safety = moment.get("safety")
    if safety:
        for mode in messages.MODES:
            yield "video2act_mode", {"mode": mode}, float(safety["mode"] == mode)
        yield "video2act_holds_total", {}, safety["holds"]
        yield "video2act_faults_total", {}, safety["faults"]
        yield "video2act_chunks_dropped_total", {}, safety["dropped"]
        yield "video2act_chunks_rejected_total", {}, safety["rejected"]
        for what in ("chunk", "condition", "feedback"):
            yield "video2act_age_milliseconds", {"of": what}, safety[f"{what}_age_ms"]
    for camera in moment.get("cameras", ()):
        yield "video2act_age_milliseconds", {"of": camera["camera"]}, camera["age_ms"]
        yield "video2act_rate_hertz", {"of": camera["camera"]}, camera["rate_hz"]
    for what, rate_hz in moment.get("rates", {}).items():
        yield "video2act_rate_hertz", {"of": what}, rate_hz
    ratio = moment.get("ratio", {})
    yield "video2act_ratio", {"of": "wanted"}, ratio.get("wanted")
    yield "video2act_ratio", {"of": "measured"}, ratio.get("runs")
    for bar in moment.get("latency", ()):
        yield "video2act_latency_milliseconds", {"stage": bar["name"]}, bar["ms"]
    for row in moment.get("processes", ()):
        yield "video2act_process_alive", {"process": row["process"]}, float(row["state"] == "alive")
        yield "video2act_process_restarts_total", {"process": row["process"]}, row["restarts"]
        yield "video2act_process_messages_hertz", {"process": row["process"]}, row["sent_hz"]
        yield "video2act_process_lost_total", {"process": row["process"]}, row["lost"]
        yield "video2act_process_faults_total", {"process": row["process"]}, row["faults"]
    recording = moment.get("recording")
    if recording:
        yield "video2act_recording_bytes", {}, recording["megabytes"] * 1e6
        yield "video2act_recording_lost_total", {}, recording["lost"]

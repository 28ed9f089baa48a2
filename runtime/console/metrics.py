"""What Prometheus scrapes: the figures of a live run's newest moment, in its text format. Deterministic."""

from collections.abc import Iterator
from typing import Any

from runtime.messaging import messages


def text(moment: dict[str, Any]) -> str:
    """All metrics; of an empty moment only that nothing runs."""
    lines = [f"# TYPE {name} {kind}" for name, kind in _TYPES.items()]
    lines += [
        f"{name}{{{','.join(f'{key}={_quoted(value)}' for key, value in labels.items())}}} {figure}"
        if labels
        else f"{name} {figure}"
        for name, labels, figure in _samples(moment)
        if figure is not None
    ]
    return "\n".join(lines) + "\n"


_TYPES = {
    "video2act_up": "gauge",
    "video2act_mode": "gauge",
    "video2act_holds_total": "counter",
    "video2act_faults_total": "counter",
    "video2act_chunks_dropped_total": "counter",
    "video2act_chunks_rejected_total": "counter",
    "video2act_age_milliseconds": "gauge",
    "video2act_rate_hertz": "gauge",
    "video2act_ratio": "gauge",
    "video2act_latency_milliseconds": "gauge",
    "video2act_process_alive": "gauge",
    "video2act_process_restarts_total": "counter",
    "video2act_process_messages_hertz": "gauge",
    "video2act_process_lost_total": "counter",
    "video2act_process_faults_total": "counter",
    "video2act_recording_bytes": "gauge",
    "video2act_recording_lost_total": "counter",
}
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


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

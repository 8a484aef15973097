"""A node's metrics in the text format of Prometheus, over HTTP. Needs prometheus-client, which
`pip install 's4zmq[metrics]'` brings; loaded only where a node is asked for metrics.

METRICS is what there is, and `METRICS.md` the same in prose. Plain HTTP for whoever reaches the port: on
loopback, unless the node is told otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from .errors import ConfigError, map_errors

log = logging.getLogger(__name__)

Measures = Mapping[str, "float | Mapping[str, float]"]


class Metric(NamedTuple):
    """One metric."""

    name: str
    """With its unit; `_total` where it only grows."""

    help: str
    label: str = ""
    """What tells its values apart; "" where it has one."""


METRICS = (
    Metric("s4_uptime_seconds", "Since the node started."),
    Metric("s4_keys", "Keys on the node; missing until they are counted after its start."),
    Metric("s4_bytes", "Bytes of these keys; missing until they are counted."),
    Metric("s4_keys_made_total", "Keys that became visible."),
    Metric("s4_keys_removed_total", "Keys that were removed."),
    Metric("s4_puts_total", "Values that clients have stored."),
    Metric("s4_put_bytes_total", "Bytes of these values."),
    Metric("s4_gets_total", "Values that clients have begun to read."),
    Metric("s4_get_bytes_total", "Bytes of values that went to clients."),
    Metric("s4_transfers_total", "Streams of large values or shuffled outputs that have begun to arrive."),
    Metric("s4_jobs_total", "Jobs that have ended here.", "state"),
    Metric("s4_commands_total", "Commands of jobs that have ended, attempts each."),
    Metric("s4_commands_failed_total", "Those of them with a status other than 0, or over their time."),
    Metric("s4_running_commands", "Commands of jobs that run now."),
    Metric("s4_held", "What the node holds for clients and peers now; all 0 when it is idle.", "what"),
    Metric("s4_reserved_bytes", "Bytes that transfers under way are still going to write."),
    Metric("s4_refused_messages_total", "Messages that made no sense, or were not heard."),
    Metric("s4_disk_bytes", "Size of the file system of the data folder; missing while it hangs."),
    Metric("s4_disk_free_bytes", "What is free of it; missing while it hangs."),
)


def serve(host: str, port: int, measure: Callable[[], Measures]) -> int:
    """Answer scrapes from a thread of its own until the process ends; the port, which for 0 the kernel
    chooses. Raises ConfigError where prometheus-client is not installed, or the address can not be had."""
    try:
        import prometheus_client
    except ImportError:
        raise ConfigError(
            "--metrics-port needs prometheus-client, which is not installed:"
            " pip install prometheus-client (or s4zmq[metrics])"
        ) from None
    registry = prometheus_client.CollectorRegistry()
    registry.register(_Collector(measure))
    prometheus_client.ProcessCollector(namespace="s4", registry=registry)
    with map_errors({OSError: ConfigError}, f"can not serve metrics on {host}:{port}"):
        server, _ = prometheus_client.start_http_server(port, host, registry)
    return int(server.server_port)


class _Collector:
    """Measures at each scrape."""

    def __init__(self, measure: Callable[[], Measures]) -> None:
        self._measure = measure

    def describe(self) -> Iterator[Any]:
        """Nothing is measured when it is registered."""
        return iter(())

    def collect(self) -> Iterator[Any]:
        """Those metrics that have a value now."""
        measures = self._measure()
        for metric in METRICS:
            if metric.name in measures:
                yield _family(metric, measures[metric.name])


def _family(metric: Metric, value: float | Mapping[str, float]) -> Any:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    kind = CounterMetricFamily if metric.name.endswith("_total") else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=[metric.label] if metric.label else None)
    if isinstance(value, Mapping):
        for label, one in value.items():
            family.add_metric([label], one)
    else:
        family.add_metric([], value)
    return family

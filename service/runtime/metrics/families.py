"""Every metric: name, type, labels, meaning; docs/reference/observability.md has the same table (tested)."""

from dataclasses import dataclass
from typing import Literal

DURATIONS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of the buckets of durations: from a read by id, through alerts worth having, to hopeless."""

SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
"""Bounds of the buckets of batches."""

WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its series.

    Counters and histograms are the sum of all workers. A gauge of the workers is one series for each, by the
    label `worker`, for what the sum of states would mean differs from gauge to gauge.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str
    bounds: tuple[float, ...] = ()


def counter(name: str, *labels: str, meaning: str) -> Family:
    """Declare what only goes up, but at a start of the service."""
    return Family(name, "counter", labels, meaning)


def gauge(name: str, *labels: str, meaning: str) -> Family:
    """Declare what goes up and down."""
    return Family(name, "gauge", labels, meaning)


def histogram(name: str, *labels: str, bounds: tuple[float, ...], meaning: str) -> Family:
    """Declare how values are spread."""
    return Family(name, "histogram", labels, meaning, bounds)


# --- requests
REQUESTS = counter(
    "sheaf_http_requests_total",
    "method",
    "route",
    "status",
    meaning="Requests that are over; 499: the client had gone before the answer.",
)
DURATION = histogram(
    "sheaf_http_request_duration_seconds",
    "method",
    "route",
    "status_class",
    bounds=DURATIONS_S,
    meaning="From the request's head to the end of its answer; of streams and held polls, to their begin.",
)
RECEIVED = counter(
    "sheaf_http_request_body_bytes_total",
    "method",
    "route",
    meaning="Bodies of requests, by their `Content-Length`.",
)
SENT = counter(
    "sheaf_http_response_body_bytes_total",
    "method",
    "route",
    meaning="Bodies of answers as sent, after compression.",
)
IN_FLIGHT = gauge(
    "sheaf_http_requests_in_flight", WORKER, meaning="Requests that have begun and not ended, but for health."
)

ADMISSION = gauge(
    "sheaf_admission_requests",
    WORKER,
    "state",
    meaning="Requests `in_work`, and those `in_line` for a slot; those that send their body are neither.",
)
SHED = counter(
    "sheaf_admission_refused_total", meaning="Requests refused with 503 because all slots were taken."
)

# --- a worker
LAG = histogram(
    "sheaf_event_loop_lag_seconds",
    bounds=DURATIONS_S,
    meaning="How much later than asked a timer ran, four times a second.",
)
TASKS = gauge("sheaf_asyncio_tasks", WORKER, meaning="Tasks of the event loop.")
SAMPLED_AT = gauge(
    "sheaf_worker_sampled_timestamp_seconds",
    WORKER,
    meaning="When the worker last reported its gauges, each second; older: it hangs.",
)
WORKERS = gauge("sheaf_workers", "state", meaning="Worker processes that are `wanted` and that are `up`.")
REPLACEMENTS = counter("sheaf_worker_replacements_total", meaning="Workers that died and were replaced.")
BUILD = gauge("sheaf_build_info", "version", "python", meaning="Always 1; its labels are the news.")

# --- the database
CONNECTIONS = gauge(
    "sheaf_mongodb_connections",
    WORKER,
    "state",
    meaning="Connections to MongoDB, `idle` and `in_use`.",
)
CONNECTIONS_LIMIT = gauge(
    "sheaf_mongodb_connections_limit", WORKER, meaning="Connections to a server at the most."
)
CONNECTIONS_OPENED = counter("sheaf_mongodb_connections_opened_total", meaning="Connections opened.")
CONNECTIONS_CLOSED = counter(
    "sheaf_mongodb_connections_closed_total", "reason", meaning="Connections closed, and why."
)
CHECK_OUTS_FAILED = counter(
    "sheaf_mongodb_checkouts_failed_total",
    "reason",
    meaning="Operations that got no connection, and why; `timeout`: the pool is too small.",
)

CALLS = gauge(
    "sheaf_database_calls",
    WORKER,
    "lane",
    "state",
    meaning="Calls of the driver in the threads of each pool: `running`, and `waiting` for a thread.",
)
THREADS = gauge("sheaf_database_threads", WORKER, "lane", meaning="Threads of each pool.")
CALL_DURATION = histogram(
    "sheaf_database_call_duration_seconds",
    "lane",
    bounds=DURATIONS_S,
    meaning="How long a thread took for a call, in which many requests may share.",
)
CALL_SIZE = histogram(
    "sheaf_database_call_requests", "lane", bounds=SIZES, meaning="How many requests shared a call."
)

# --- limits
DECISIONS = counter(
    "sheaf_rate_limit_decisions_total",
    "tier",
    "outcome",
    meaning="What rate limits decided: `admitted` or `refused`.",
)
LEASES = counter(
    "sheaf_rate_limit_leases_total",
    "tier",
    "source",
    meaning="Shares of limits taken from the `store`, or by a worker `alone` while that is away.",
)

# --- queues
PASSWORDS = gauge(
    "sheaf_passwords",
    WORKER,
    "state",
    meaning="Passwords being hashed: `running`, and `waiting` for a thread.",
)
PASSWORDS_REFUSED = counter(
    "sheaf_passwords_refused_total", meaning="Passwords refused because too many were in line (503)."
)
MAILS = gauge(
    "sheaf_mails", "state", meaning="Mails in the outbox, `waiting` and `failed`, of all instances."
)

# --- changes
STREAMS = gauge(
    "sheaf_streams", WORKER, meaning="Streams of changes that are open, and polls that are waited for."
)
SUBSCRIPTIONS = gauge(
    "sheaf_subscriptions", WORKER, meaning="Subscriptions of streams, of which one may have several."
)
TOPICS = gauge(
    "sheaf_subscription_topics",
    WORKER,
    meaning="Different subscriptions: those who watch the same, and see the same of it, share one.",
)
STREAMS_OPENED = counter("sheaf_streams_opened_total", meaning="Streams opened.")
BYES = counter(
    "sheaf_stream_byes_total",
    "why",
    meaning="Streams that the service ended, and why; `cut`: the client took nothing of what was sent.",
)
RESETS = counter(
    "sheaf_subscription_resets_total",
    "why",
    meaning="Subscriptions that had to begin anew, and why; `overflow`: more came than the client took.",
)
CHANGES = counter("sheaf_changes_total", meaning="Changes of watched collections, each once per worker.")
ENTRIES = counter("sheaf_change_entries_total", meaning="Entries told to subscribers.")
CHANGE_DELAY = histogram(
    "sheaf_change_delay_seconds",
    bounds=DURATIONS_S,
    meaning="From a document's `_updated_at` until all were told, of one change of each group.",
)

# --- followers
FOLLOWING = gauge(
    "sheaf_following",
    WORKER,
    "what",
    meaning="1 while the worker follows changes of `definitions` and `revocations`, else 0.",
)
HEARD_AT = gauge(
    "sheaf_followed_timestamp_seconds",
    WORKER,
    "what",
    meaning="When MongoDB last sent news, or of revocations also that there are none.",
)

# --- processes (what Prometheus' client libraries call so)
CPU = counter("process_cpu_seconds_total", WORKER, meaning="CPU time of a process; `main` serves nothing.")
RESIDENT = gauge("process_resident_memory_bytes", WORKER, meaning="Memory that a process has in RAM.")
VIRTUAL = gauge("process_virtual_memory_bytes", WORKER, meaning="Memory that a process has mapped.")
OPEN_FILES = gauge("process_open_fds", WORKER, meaning="File descriptors that a process has open.")
MAXIMUM_FILES = gauge("process_max_fds", WORKER, meaning="File descriptors that a process may open.")
STARTED_AT = gauge("process_start_time_seconds", WORKER, meaning="When a process started.")

FAMILIES: dict[str, Family] = {
    each.name: each for each in list(globals().values()) if isinstance(each, Family)
}
"""All of them by name, in the order above."""

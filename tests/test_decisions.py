"""Limits that decisions state are those of the code; figures of speed are records of their time."""

from pathlib import Path
from typing import Any

import pytest

from service.documents import bulk, idempotency, rendering
from service.http.pipeline import concurrency_limit
from service.identity.api_keys import bearers
from service.identity.core import hashing, lockout, refreshing, revocations
from service.mail import post
from service.runtime.metrics import cells
from service.runtime.settings import Settings
from service.saved_queries import narrowing
from service.slow_queries import watch
from service.storage import batched_lists, batched_reads, change_stream, database, thread_pools, writes

DECISIONS = Path(__file__).parents[1] / "docs/decisions"


def default(setting: str) -> Any:
    return Settings.model_fields[setting].default


STATED = [
    ("0001", f"{default('rate_limit_anonymous').split('/')[0]} requests in 15 minutes for an address"),
    ("0010", f"a group of up to {writes.MAXIMUM_GROUP}"),
    ("0011", f"`max_affected` (1 to {bulk.MAXIMUM_DOCUMENTS})"),
    ("0012", f"for {idempotency.ANSWER_TTL_S // 3600} hours"),
    ("0012", f"keys of at least {idempotency.MINIMUM_ANONYMOUS_KEY_LENGTH} characters"),
    ("0019", f"up to {narrowing.MAXIMUM_MASKS} different masks"),
    ("0021", f"For {refreshing.GRACE_S:.0f} seconds the token before"),
    ("0022", f"The bound is {revocations.BOUND_S:.0f} seconds"),
    ("0022", f"has heard nothing for {revocations.STALE_AFTER_S:.0f} seconds"),
    ("0022", f"more than {revocations.MAXIMUM_KNOWN:,} revocations".replace(",", " ")),
    ("0024", f"remembers a key for {bearers.REMEMBERED_S:.0f} seconds"),
    ("0024", f"a wrong one for {bearers.REFUSED_S:.0f}"),
    ("0026", f"{hashing.MINIMUM_CHARACTERS} characters and a zxcvbn score of {hashing.MINIMUM_SCORE}"),
    ("0026", f"the first {hashing.ESTIMATED_CHARACTERS} characters"),
    ("0027", f"tries up to {post.MAXIMUM_ATTEMPTS} times"),
    ("0028", f"Locks last {default('lockout_s')} seconds, doubling to {default('lockout_longest_s') // 60}"),
    ("0028", f"waits up to {sum(lockout.PAUSES_S):.2f} s"),
    ("0034", f"anything beyond {cells.MAXIMUM_ROWS} rows"),
    ("0037", f"Heartbeats every {database.HEARTBEAT_S} s"),
    ("0039", f"of {concurrency_limit.RETRY_AFTER_S[0]} to {concurrency_limit.RETRY_AFTER_S[-1]} s"),
    ("0039", f"probes have {concurrency_limit.PROBES}"),
    ("0045", f"{watch.MAXIMUM_WAITING} waiting"),
    ("0047", f"Up to {batched_lists.MAXIMUM_TOGETHER} lists share one"),
    ("0047", f"up to {batched_reads.MAXIMUM_COLLECTIONS} collections"),
    ("0047", f"took {batched_lists.SLOW_S * 1000:.0f} ms when"),
    ("0047", f"three times {batched_lists.SLOWISH_S * 1000:.0f} ms"),
    ("0047", f"together they have {batched_lists.TOGETHER_S * 1000:.0f} ms"),
    ("0047", f"until calls wait for {thread_pools.PATIENCE_S * 1000:.0f} ms"),
    ("0048", f"At most {rendering.MAXIMUM_BYTES // 2**20} MB"),
    ("0057", f"for up to {change_stream.RESUME_S:.0f} seconds where it was"),
]


@pytest.mark.parametrize(("number", "sentence"), STATED)
def test_limit_stated_in_decision_matches_code(number: str, sentence: str) -> None:
    [page] = DECISIONS.glob(f"{number}-*.md")
    assert sentence in " ".join(page.read_text().split())

"""Threads that are there before they are needed: a machine that is short may start none."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait


def start_threads(pool: ThreadPoolExecutor, count: int) -> None:
    """Start all threads of a pool, which would be started one by one as work comes.

    Args:
        count: How many the pool may have, all of them idle.
    """
    meeting = threading.Barrier(count)
    wait([pool.submit(meeting.wait) for _ in range(count)])

"""Processes that are measured: which belong together, and the memory that they take."""

import psutil

MIB = 1024 * 1024


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def listening(port: int) -> list[int]:
    """Return the processes that listen on a port of this machine, with all below them."""
    found = {
        each.pid
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.pid and each.laddr and each.laddr.port == port
    }
    return sorted({pid for root in found for pid in tree(root)})


def worker_memory_mib(pids: list[int]) -> float:
    """Return the resident memory of the largest of these processes, which is the worker."""
    return max((psutil.Process(pid).memory_info().rss for pid in pids), default=0) / MIB

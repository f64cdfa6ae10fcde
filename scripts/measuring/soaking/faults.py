"""What befalls the service: a worker killed, MongoDB frozen, clients that vanish, workers renewed."""

import asyncio
import os
import signal
import socket
import struct
import time
from dataclasses import dataclass

import psutil

from scripts.measuring.serving import Running
from scripts.measuring.soaking.journal import FREEZE, KILL, RENEW, VANISH, Fault, Journal

VANISHING = 40
"""Clients that vanish together: half of them in the middle of a request, half while they wait."""

VANISH_AFTER_S = 0.5
NEVER_LINGER = struct.pack("ii", 1, 0)
LOOK_AGAIN_S = 0.05
PATIENCE_S = 120.0
WORKER = "spawn_main"


class NotRestoredError(Exception):
    """The service did not become what it was before a fault."""


@dataclass
class Faults:
    """Brings faults upon a service and its MongoDB, and notes when."""

    service: Running
    mongod_pid: int
    workers: int
    frozen_s: float
    journal: Journal

    def worker_processes(self) -> list[psutil.Process]:
        """Return the workers of now, the oldest first."""
        children = psutil.Process(self.service.pid).children()
        found = [child for child in children if _is_worker(child)]
        return sorted(found, key=psutil.Process.create_time)

    async def kill(self) -> None:
        """Kill the youngest worker, and wait for the next one."""
        began_s = time.monotonic()
        victim = self.worker_processes()[-1].pid
        os.kill(victim, signal.SIGKILL)
        self._note(KILL, began_s)
        await self._until_whole({victim})

    async def freeze(self) -> None:
        """Stop MongoDB for a while."""
        began_s = time.monotonic()
        os.kill(self.mongod_pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(self.frozen_s)
        finally:
            os.kill(self.mongod_pid, signal.SIGCONT)
        self._note(FREEZE, began_s)

    async def vanish(self) -> None:
        """Open connections, ask or half ask, and be gone without a word."""
        began_s = time.monotonic()
        head = b"GET /api/products HTTP/1.1\r\nHost: soak\r\n"
        gone = []
        for number in range(VANISHING):
            _, writer = await asyncio.open_connection(self.service.host, self.service.port)
            writer.write(head + (b"\r\n" if number % 2 else b""))
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NEVER_LINGER)
            gone.append(writer)
        await asyncio.sleep(VANISH_AFTER_S)
        for writer in gone:
            writer.transport.abort()
        self._note(VANISH, began_s)

    async def renew(self) -> None:
        """Have all workers replaced, one by one, and wait until they are."""
        began_s = time.monotonic()
        before = {worker.pid for worker in self.worker_processes()}
        os.kill(self.service.pid, signal.SIGHUP)
        await self._until_whole(before)
        self._note(RENEW, began_s)

    def _note(self, kind: str, began_s: float) -> None:
        self.journal.faults.append(Fault(kind, began_s, time.monotonic()))

    async def _until_whole(self, gone: set[int]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while gone & (now := {worker.pid for worker in self.worker_processes()}) or len(now) != self.workers:
            if time.monotonic() > deadline_s:
                raise NotRestoredError(f"{len(now)} workers after {PATIENCE_S:.0f} s")
            await asyncio.sleep(LOOK_AGAIN_S)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return any(WORKER in word for word in process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False

"""A connection to worker processes: those of this machine, started for it, or those of a Dask scheduler elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fmnist_core.engine.job_queue import PLACES, SORTS
from fmnist_core.errors import LabError
from fmnist_core.settings import Settings
from fmnist_core.store.run import reason_of

ROOT = Path(__file__).parents[2]
MEMORY_TOPIC = "worker-restart-memory"  # Dask's nannies tell here whom they ended because of its memory
START_SECONDS, CONNECT_SECONDS = 60, 10


class EngineError(LabError):
    """The engine cannot be started or reached."""


class Cluster:
    """Workers and the one client that talks to them. Raises: EngineError when they cannot be reached.

    on_worker and on_memory get the events of remote.TOPIC and MEMORY_TOPIC; on_event those of this cluster's jobs.
    All are called from the client's own thread, in the order of sending for one worker.
    """

    def __init__(
        self,
        wanted: Settings,
        warm_up: bool,
        on_event: Callable[[Mapping[str, Any]], None],
        on_worker: Callable[[Mapping[str, Any]], None],
        on_memory: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._host: subprocess.Popen[str] | None = None
        try:
            self.client = self._connect(wanted)
            self.topic = f"fmnist-lab-{self.client.id}"
            self._listen(on_event, on_worker, on_memory)
            from fmnist_core.engine.remote import Greeter

            self.client.register_plugin(Greeter(warm_up))
        except Exception as error:
            self.close()
            where = f"at {wanted.engine} (FMNIST_ENGINE) cannot be reached" if wanted.engine else "did not start"
            raise EngineError(f"The engine {where}: {reason_of(error)}.") from error

    def _connect(self, wanted: Settings) -> Any:
        from distributed import Client, Security

        options: dict[str, Any] = {"set_as_default": False, "timeout": CONNECT_SECONDS, "name": "fmnist-lab"}
        if wanted.engine:
            return Client(wanted.engine, **options)
        self._host = _start_host(wanted)
        answer = _answer(self._host)
        return Client(answer["address"], security=Security(require_encryption=True, **answer["tls"]), **options)

    def _listen(self, on_event: Any, on_worker: Any, on_memory: Any) -> None:
        from fmnist_core.engine.remote import TOPIC

        for topic, handler in ((self.topic, on_event), (TOPIC, on_worker), (MEMORY_TOPIC, on_memory)):
            self.client.subscribe_topic(topic, _payload(handler))

    def alive(self) -> bool:
        """Whether the connection still stands, or is being mended by Dask."""
        return (self._host is None or self._host.poll() is None) and self.client.status in ("running", "connecting")

    def workers(self) -> dict[str, int]:
        """The workers that are there now, by address, and the threads of each; asks the scheduler."""
        return dict(self.client.nthreads())

    def submit(self, kind: str, params: Mapping[str, Any], key: str) -> Any:
        """Start a job on some free worker, and again on another if that one dies; returns Dask's future."""
        from fmnist_core.engine.remote import execute

        return self.client.submit(execute, kind, dict(params), self.topic, key, key=key, pure=False)

    def stop(self, key: str, address: str) -> None:
        """Ask the job that the worker at `address` has to end; returns at once."""
        from fmnist_core.engine.remote import stop

        self._aside(lambda: self.client.run(stop, key, workers=[address]))

    def replace(self, address: str) -> None:
        """Let a nanny put a fresh process in the place of a worker that has no job; returns at once."""
        self._aside(lambda: self.client.restart_workers([address], timeout=START_SECONDS, raise_for_error=False))

    def _aside(self, action: Callable[[], Any]) -> None:
        def run() -> None:
            with suppress(Exception):  # a worker or scheduler that is gone is noticed by the engine's own watch
                action()

        threading.Thread(target=run, name="engine-aside", daemon=True).start()

    def close(self) -> None:
        """End the connection, and the processes where they are our own."""
        with suppress(Exception):
            self.client.close(timeout=2)
        if self._host is None:
            return
        with suppress(OSError, subprocess.TimeoutExpired):
            if self._host.stdin:
                self._host.stdin.close()
            self._host.wait(5)
        if self._host.poll() is None:
            self._host.kill()
        if self._host.stdout:
            self._host.stdout.close()


def _payload(handler: Callable[[Mapping[str, Any]], None]) -> Callable[[tuple[float, Mapping[str, Any]]], None]:
    def handle(event: tuple[float, Mapping[str, Any]]) -> None:
        handler(event[1])

    return handle


def _start_host(wanted: Settings) -> subprocess.Popen[str]:
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    host = subprocess.Popen(
        [sys.executable, "-m", "fmnist_core.engine.cluster_host"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert host.stdin
    facts = {"workers": wanted.workers, "memory": wanted.worker_memory, "threads": PLACES + len(SORTS)}
    host.stdin.write(json.dumps(facts) + "\n")
    host.stdin.flush()
    return host


def _answer(host: subprocess.Popen[str]) -> dict[str, Any]:
    """The host's address and keys. Raises: EngineError when it ends or stays silent."""
    assert host.stdout
    watchdog = threading.Timer(START_SECONDS, host.kill)
    watchdog.start()
    line = host.stdout.readline()
    watchdog.cancel()
    if not line:
        raise EngineError("its program ended or stayed silent; the reason is in the server's log")
    answer: dict[str, Any] = json.loads(line)
    return answer

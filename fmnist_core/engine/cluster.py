"""A connection to worker processes: those of this machine, started for it, or those of a Dask scheduler elsewhere."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from fmnist_core.engine.job import WARM_UP, AnalysisKind
from fmnist_core.engine.job_queue import TRAININGS
from fmnist_core.errors import LabError
from fmnist_core.settings import Settings
from fmnist_core.store.run import reason_of

log = logging.getLogger(__name__)
OnEvent = Callable[[tuple[float, Mapping[str, Any]]], None]  # with the time of sending
ROOT = Path(__file__).parents[2]
MEMORY_TOPIC = "worker-restart-memory"  # Dask's nannies tell here whom they ended because of its memory
START_SECONDS, CONNECT_SECONDS = 60, 10


class EngineError(LabError):
    """The engine cannot be started or reached."""


class Cluster:
    """Workers and the one client that talks to them. Raises: EngineError when they cannot be reached.

    on_worker and on_memory get the events of remote.TOPIC and MEMORY_TOPIC; on_event those of this cluster's jobs.
    All are called from the client's own thread, in the order of sending for one worker. warm_up: whether workers import
    and compile before the first job.
    """

    def __init__(
        self,
        settings: Settings,
        warm_up: bool,
        on_event: OnEvent,
        on_worker: OnEvent,
        on_memory: OnEvent,
    ) -> None:
        self._host: subprocess.Popen[str] | None = None
        try:
            self.client = self._connect(settings)
            from fmnist_core.engine.remote import TOPIC, Greeter

            self.topic = f"fmnist-lab-{self.client.id}"
            for topic, handler in ((self.topic, on_event), (TOPIC, on_worker), (MEMORY_TOPIC, on_memory)):
                self.client.subscribe_topic(topic, handler)
            self.client.register_plugin(Greeter(WARM_UP if warm_up else ""))
        except Exception as error:
            self.close()
            where = f"at {settings.engine} (FMNIST_ENGINE) cannot be reached" if settings.engine else "did not start"
            raise EngineError(f"The engine {where}: {reason_of(error)}.") from error

    def _connect(self, settings: Settings) -> Any:
        from distributed import Client, Security

        options: dict[str, Any] = {"set_as_default": False, "timeout": CONNECT_SECONDS, "name": "fmnist-lab"}
        if settings.engine:
            return Client(settings.engine, **options)
        self._host = _start_host(settings)
        answer = _answer(self._host)
        return Client(answer["address"], security=Security(require_encryption=True, **answer["tls"]), **options)

    def alive(self) -> bool:
        """Whether the connection still stands, or is being mended by Dask."""
        return (self._host is None or self._host.poll() is None) and self.client.status in ("running", "connecting")

    def workers(self) -> tuple[dict[str, int], dict[str, list[str]]]:
        """The threads of each worker that is there now, and the keys of the jobs that it has; asks the scheduler."""
        jobs = {address: list(map(str, keys)) for address, keys in self.client.processing().items()}
        return dict(self.client.nthreads()), jobs

    def submit(self, function: str, params: Mapping[str, Any], key: str, address: str | None) -> Any:
        """Start a job on a worker (None: on any), and again on another one if that one dies; returns Dask's future."""
        from fmnist_core.engine.remote import execute

        where: dict[str, Any] = {"workers": [address], "allow_other_workers": True} if address else {}
        return self.client.submit(execute, function, dict(params), self.topic, key, key=key, pure=False, **where)

    def stop(self, key: str, address: str) -> None:
        """Ask the job that the worker at `address` has to end; returns at once."""
        from fmnist_core.engine.remote import stop

        self._in_background(lambda: self.client.run(stop, key, workers=[address]))

    def restart(self, address: str, on_failure: Callable[[str], None]) -> None:
        """Let a nanny put a fresh process in the place of a worker that has no job; returns at once."""

        def restart() -> None:
            answers = self.client.restart_workers([address], timeout=START_SECONDS, raise_for_error=False)
            if answers.get(address, "OK") not in ("OK", "removed"):  # no answer: it is gone already
                raise EngineError(f"The worker {address} was not restarted: {answers[address]}.")

        self._in_background(restart, lambda: on_failure(address))

    def _in_background(self, action: Callable[[], Any], on_failure: Callable[[], None] = lambda: None) -> None:
        def run() -> None:
            try:
                action()
            except Exception as error:  # a worker or scheduler that is gone is noticed by the engine's own watch
                log.warning("A request to a worker failed: %s", reason_of(error))
                on_failure()

        threading.Thread(target=run, name="engine-request", daemon=True).start()

    def close(self) -> None:
        """End the connection, and the processes where they are our own."""
        client = getattr(self, "client", None)  # none where there was no connection
        try:
            if client:
                client.close(timeout=2)
        except Exception as error:
            log.warning("The connection to the engine was not closed in order: %s", reason_of(error))
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


def _start_host(settings: Settings) -> subprocess.Popen[str]:
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    host = subprocess.Popen(
        [sys.executable, "-m", "fmnist_core.engine.cluster_host"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert host.stdin
    threads = TRAININGS + len(get_args(AnalysisKind))  # one for each job that a worker can have at a time
    request = {"workers": settings.workers, "memory": settings.worker_memory, "threads": threads}
    host.stdin.write(json.dumps(request) + "\n")
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

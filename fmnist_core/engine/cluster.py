"""A connection to worker processes: those of a Dask scheduler elsewhere, or of one that is started on this machine.

The latter is a program of its own, `python -m fmnist_core.engine.cluster`, because workers are spawned, and a spawned
process imports the `__main__` of its parent: below Streamlit that is the page's script, which would run again in each
worker. It also keeps the scheduler's work out of the app process, and ends with the app, whatever ends the app.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fmnist_core.errors import LabError, reason_of
from fmnist_core.settings import Settings

log = logging.getLogger(__name__)
OnEvent = Callable[[tuple[float, Mapping[str, Any]]], None]  # with the time of sending
ROOT = Path(__file__).parents[2]
MEMORY_TOPIC = "worker-restart-memory"  # Dask's nannies tell here whom they ended because of its memory
START_SECONDS, CONNECT_SECONDS = 60, 10
TLS = ("tls_ca_file", "tls_client_cert", "tls_client_key")


class EngineError(LabError):
    """The engine cannot be started or reached."""


class Cluster:
    """Workers and the one client that talks to them. Raises: EngineError when they cannot be reached.

    warm_up: "module:function" that warms a worker up before its first job; "" for none. threads: jobs that a worker of
    this machine can have at a time. on_worker and on_memory get the events of remote.TOPIC and MEMORY_TOPIC, on_event
    those of this cluster's jobs. All are called from the client's own thread, in the order of sending for one worker.
    """

    def __init__(
        self, settings: Settings, warm_up: str, threads: int, on_event: OnEvent, on_worker: OnEvent, on_memory: OnEvent
    ) -> None:
        self._host: subprocess.Popen[str] | None = None
        try:
            self.client = self._connect(settings, threads)
            from fmnist_core.engine.remote import TOPIC, Greeter

            self.topic = f"fmnist-lab-{self.client.id}"
            for topic, handler in ((self.topic, on_event), (TOPIC, on_worker), (MEMORY_TOPIC, on_memory)):
                self.client.subscribe_topic(topic, handler)
            self.client.register_plugin(Greeter(warm_up))
        except Exception as error:
            self.close()
            where = f"at {settings.engine} (FMNIST_ENGINE) cannot be reached" if settings.engine else "did not start"
            raise EngineError(f"The engine {where}: {reason_of(error)}.") from error

    def _connect(self, settings: Settings, threads: int) -> Any:
        from distributed import Client, Security

        options: dict[str, Any] = {"set_as_default": False, "timeout": CONNECT_SECONDS, "name": "fmnist-lab"}
        if settings.engine:
            return Client(settings.engine, **options)
        path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
        self._host = subprocess.Popen(
            [sys.executable, "-m", "fmnist_core.engine.cluster"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": path},
        )
        request = {"workers": settings.workers, "memory": settings.worker_memory, "threads": threads}
        answer = _ask(self._host, request)
        return Client(answer["address"], security=Security(require_encryption=True, **answer["tls"]), **options)

    def alive(self) -> bool:
        """Whether the connection still stands, or is being mended by Dask."""
        return (self._host is None or self._host.poll() is None) and self.client.status in ("running", "connecting")

    def workers(self) -> tuple[dict[str, int], dict[str, list[str]]]:
        """The threads of each worker that is there now, and the keys of the jobs that it has; asks the scheduler."""
        threads = dict(self.client.nthreads())  # first: who comes between the two questions has been given keys by then
        return threads, {address: list(map(str, keys)) for address, keys in self.client.processing().items()}

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


def _ask(host: subprocess.Popen[str], request: dict[str, Any]) -> dict[str, Any]:
    """The answer of `main` in the host's program. Raises: EngineError when it ends or stays silent."""
    assert host.stdin and host.stdout
    host.stdin.write(json.dumps(request) + "\n")
    host.stdin.flush()
    watchdog = threading.Timer(START_SECONDS, host.kill)
    watchdog.start()
    line = host.stdout.readline()
    watchdog.cancel()
    if not line:
        raise EngineError("its program ended or stayed silent; the reason is in the server's log")
    answer: dict[str, Any] = json.loads(line)
    return answer


# --- The program that starts workers on this machine -----------------------------------------------------------------


def main() -> None:
    """Answer one JSON line {"workers", "memory", "threads"} with one JSON line {"address", "tls"}; serve until standard
    input ends.
    """
    if hasattr(os, "setsid") and os.getpgrp() != os.getpid():
        os.setsid()  # a session of its own: Ctrl-C in the app's terminal is the app's, and the end can take everybody
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what workers print must not fill a pipe that nobody reads
    request = json.loads(sys.stdin.readline())
    scratch = tempfile.mkdtemp(prefix="fashion-mnist-lab-")
    try:
        _serve(request, scratch, answer)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        # Everything in this session at once: a training that runs would make an orderly end slow. The store is safe.
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)


def _serve(request: dict[str, Any], scratch: str, answer: Any) -> None:
    """A Dask scheduler and the nannies of its workers."""
    import dask
    from distributed import LocalCluster, Security

    # After the import, which would add Dask's own worker environment to ours: its MALLOC_TRIM_THRESHOLD_ saves a tenth
    # of the memory and costs a fifth of the speed.
    dask.config.set(_configuration(request["workers"], scratch))
    security = Security.temporary()
    cluster = LocalCluster(
        n_workers=request["workers"],
        threads_per_worker=request["threads"],
        memory_limit=request["memory"],
        host="127.0.0.1",
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        security=security,
        silence_logs=logging.ERROR,
    )
    tls = {name: getattr(security, name) for name in TLS}
    with answer:
        answer.write(json.dumps({"address": cluster.scheduler_address, "tls": tls}) + "\n")
    sys.stdin.read()


def _configuration(workers: int, scratch: str) -> dict[str, Any]:
    """Dask's settings for this engine."""
    from dask.system import CPU_COUNT

    counts = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    share = dict.fromkeys(counts, max(CPU_COUNT // workers, 1))  # of the processors, for each worker
    return {
        "temporary-directory": scratch,
        # A worker's death is worth one more try; a job that kills two workers would kill every other.
        "distributed.scheduler.allowed-failures": 1,
        # The engine hands a job to a free worker only, so there is nothing to steal.
        "distributed.scheduler.work-stealing": False,
        # The memory is TensorFlow's, not Dask's: there is nothing to spill, and a paused worker would block the queue.
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": 0.95,
        # Dask takes a worker off that is missing this long after it missed one, also when it is only being replaced.
        "distributed.deploy.lost-worker-timeout": "365 days",
        "distributed.worker.profile.enabled": False,
        # TensorFlow holds Python's lock while it traces a network: no reason for a warning.
        "distributed.admin.tick.limit": "60s",
        "distributed.nanny.pre-spawn-environ": {"TF_NUM_INTEROP_THREADS": 1} | share,
        # Dask opens its web server whatever one says: it serves nothing, on a free port of this machine.
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }


if __name__ == "__main__":
    main()

"""A connection to worker processes: those of a Dask scheduler elsewhere, or of `host`, started on this machine."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

import psutil

from fmnist_core.engine import scratch
from fmnist_core.errors import LabError, reason_of
from fmnist_core.experiment.cost import USABLE
from fmnist_core.settings import Settings, of_own_program

log = logging.getLogger(__name__)
OnEvent = Callable[[tuple[float, Mapping[str, Any]]], None]  # with the time of sending
MEMORY_TOPIC = "worker-restart-memory"  # Dask's nannies tell here whom they ended because of its memory
START_SECONDS, CONNECT_SECONDS, ANSWER_SECONDS = 60, 10, 3
WATCH_SECONDS, STOPPED_SECONDS = 1, 5  # a debugger stops a process, too, for a moment
QUIET_LOGGERS = ("distributed.client", "distributed.comm.core", "distributed.core", "tornado.application")
QUIET = "ignore:resource_tracker:UserWarning"  # it tells of each semaphore that it removes after a worker was killed


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
            raise EngineError(f"The engine {where}: {reason_of(error).removesuffix('.')}.") from error

    def _connect(self, settings: Settings, threads: int) -> Any:
        from distributed import Client, Security

        for name in QUIET_LOGGERS:  # what they say with a trace is said here, in a sentence
            logging.getLogger(name).setLevel(logging.CRITICAL)
        options: dict[str, Any] = {"set_as_default": False, "timeout": CONNECT_SECONDS, "name": "fmnist-lab"}
        if settings.engine:
            address = settings.engine if "://" in settings.engine else f"tcp://{settings.engine}"  # as Dask reads it
            _check_address(address)
            return Client(address, **options)
        self._host = subprocess.Popen(
            [sys.executable, "-W", QUIET, "-m", "fmnist_core.engine.host"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=of_own_program(),
        )
        request = {"workers": settings.workers, "memory": settings.worker_memory, "usable": USABLE}
        request |= {"threads": threads, "cores": settings.cores}
        answer = _ask(self._host, request)
        threading.Thread(target=_end_stopped, args=(self._host,), name="engine-watch", daemon=True).start()
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

    def when_done(self, future: Any, on_done: Callable[[Any], None]) -> None:
        """Call on_done once the future has come to its end.

        Not by the future's own callback: Dask runs those in a pool of threads that Python closes before `close`.
        """

        def follow() -> None:
            with suppress(Exception):  # it was lost, or the connection was
                future.exception()  # waits
            if future.done():
                on_done(future)

        threading.Thread(target=follow, name="engine-job", daemon=True).start()

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
            self._host.wait()
        if self._host.stdout:
            self._host.stdout.close()
        scratch.sweep()  # the host's, if it was killed


def _check_address(address: str) -> None:
    """Whether a Dask scheduler answers at an address: Dask's own client takes long to find that out, and says it in
    traces. By tcp, a scheduler speaks first. Raises: EngineError, OSError.
    """
    import dask

    parts = urlsplit(address)
    if parts.scheme not in ("tcp", "tls", "ws", "wss") or not parts.hostname or not _port(parts):
        raise EngineError("it must be an address such as tcp://192.0.2.1:8786")
    if parts.scheme in ("tls", "wss") and not dask.config.get("distributed.comm.tls.ca-file"):
        raise EngineError(f"{parts.scheme}:// needs certificates in Dask's configuration (distributed.comm.tls)")
    with socket.create_connection((parts.hostname, _port(parts)), ANSWER_SECONDS) as connection:
        if parts.scheme != "tcp":
            return
        connection.settimeout(ANSWER_SECONDS)
        with suppress(TimeoutError):
            if connection.recv(1):
                return
    raise EngineError("what answers there is no Dask scheduler")


def _port(parts: SplitResult) -> int:
    with suppress(ValueError):
        return parts.port or 0
    return 0


def _end_stopped(host: subprocess.Popen[str]) -> None:
    """As long as the host lives, kill those of its processes that somebody has stopped: nothing else tells that they
    will never answer. What they did begins again, as after any death.
    """
    since: dict[psutil.Process, float] = {}
    while host.poll() is None:
        with suppress(psutil.Error):
            top = psutil.Process(host.pid)
            stopped = [each for each in (top, *top.children()) if each.status() == psutil.STATUS_STOPPED]
            since = {each: since.get(each, time.monotonic()) for each in stopped}
            for process, start in since.items():
                if time.monotonic() - start > STOPPED_SECONDS:
                    log.warning(
                        "The engine's process %d was stopped by a signal (SIGSTOP) and is replaced.", process.pid
                    )
                    process.kill()
        time.sleep(WATCH_SECONDS)


def _ask(host: subprocess.Popen[str], request: dict[str, Any]) -> dict[str, Any]:
    """The answer of `host.main`. Raises: EngineError when it fails, ends or stays silent."""
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
    if "error" in answer:
        raise EngineError(answer["error"])
    return answer

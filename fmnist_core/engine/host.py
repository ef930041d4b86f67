"""The program that starts a Dask scheduler and workers on this machine, and ends them: `cluster` starts it.

Workers are spawned, and a spawned process imports the `__main__` of its parent: below Streamlit that is the page's
script, which would run again in each worker. So they are the children of a program of their own. It also keeps the
scheduler's work out of the app process, and ends with the app, whatever ends the app.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import sys
from contextlib import suppress
from typing import Any

import psutil

from fmnist_core.engine.scratch import scratch_folder
from fmnist_core.errors import LabError, reason_of

TLS = ("tls_ca_file", "tls_client_cert", "tls_client_key")
SEMAPHORES = 6  # of each worker, a page of /dev/shm each
END_SECONDS = 1.5  # for which a worker may end what it does in order


def main() -> None:
    """Answer one JSON line {"workers", "memory", "usable", "threads", "cores"} with one JSON line {"address", "tls"},
    or {"error"}; serve until standard input ends.
    """
    if hasattr(os, "setsid") and os.getpgrp() != os.getpid():
        os.setsid()  # a session of its own: Ctrl-C in the app's terminal is the app's
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what workers print must not fill a pipe that nobody reads
    request = json.loads(sys.stdin.readline())
    try:
        check_shared_memory(request["workers"])
        with scratch_folder() as scratch:
            _serve(request, scratch, answer)
    except Exception as error:
        _say(answer, {"error": reason_of(error)})
    # Not an ordinary end, in which Dask's threads may wait for each other. What the system keeps for this process and
    # its workers (semaphores) is removed by Python's resource tracker, a process that outlives them.
    os._exit(0)


def check_shared_memory(workers: int) -> None:
    """Try whether there is room for what Dask shares with so many workers. Raises: LabError."""
    try:
        held = [multiprocessing.get_context("spawn").Semaphore() for _ in range(SEMAPHORES * workers)]
        held.clear()
    except OSError as error:
        remedy = "mount /dev/shm with some free space (of a container: --shm-size)"
        raise LabError(f"Processes cannot share memory ({reason_of(error)}); {remedy}.") from None


def _say(answer: Any, message: dict[str, Any]) -> None:
    with suppress(OSError, ValueError):  # nobody listens any more
        answer.write(json.dumps(message) + "\n")
        answer.flush()


def _serve(request: dict[str, Any], scratch: str, answer: Any) -> None:
    """A Dask scheduler and the nannies of its workers, until standard input ends."""
    import dask
    from distributed import LocalCluster, Security, Status

    # Workers write here, too: what TensorFlow generates would stay in the system's place after a worker was killed.
    os.environ["TMPDIR"] = scratch
    share = max(request["cores"] // request["workers"], 1)
    os.environ["FMNIST_CORES"] = str(share)
    # After the import, which would add Dask's own worker environment to ours: its MALLOC_TRIM_THRESHOLD_ saves a tenth
    # of the memory and costs a fifth of the speed.
    dask.config.set(_configuration(share, request["usable"], scratch))
    security = Security.temporary()
    try:
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
        _say(answer, {"address": cluster.scheduler_address, "tls": tls})
        sys.stdin.read()
        logging.disable()  # Dask tells of each end as of a fault
        for nanny in cluster.workers.values():
            nanny.status = Status.closing  # else it puts another worker in the place of the one that ends
    finally:
        _end_workers()


def _end_workers() -> None:
    """Ask the workers to end, wait a moment, and end those that have not."""
    workers = [child for child in psutil.Process().children() if not _is_tracker(child)]
    for worker in workers:
        with suppress(psutil.Error):
            worker.terminate()
    _, alive = psutil.wait_procs(workers, END_SECONDS)
    for worker in alive:
        with suppress(psutil.Error):
            worker.kill()
    psutil.wait_procs(alive, END_SECONDS)


def _is_tracker(process: psutil.Process) -> bool:
    """Whether it is Python's resource tracker, which ends by itself once it has removed what we leave."""
    with suppress(psutil.Error):
        return any("multiprocessing.resource_tracker" in part for part in process.cmdline())
    return False


def _configuration(share: int, usable: float, scratch: str) -> dict[str, Any]:
    """Dask's settings for this engine. share: of the processor cores, for each worker. usable: of its memory."""
    counts = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
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
        "distributed.worker.memory.terminate": usable,
        # Dask takes a worker off that is missing this long after it missed one, also when it is only being replaced.
        "distributed.deploy.lost-worker-timeout": "365 days",
        "distributed.worker.profile.enabled": False,
        # TensorFlow holds Python's lock while it traces a network: no reason for a warning.
        "distributed.admin.tick.limit": "60s",
        "distributed.worker.preload": ["fmnist_core.engine.worker_start"],
        "distributed.nanny.pre-spawn-environ": {"TF_NUM_INTEROP_THREADS": 1} | dict.fromkeys(counts, share),
        # Dask opens its web server whatever one says: it serves nothing, on a free port of this machine.
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }


if __name__ == "__main__":
    main()

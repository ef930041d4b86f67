"""The engine's own program on one machine: a Dask scheduler and the nannies of its workers, ended with the app.

It is a program of its own because workers are spawned, and a spawned process imports the `__main__` of its parent:
below Streamlit that is the page's script, which would run again in each worker. It also keeps the scheduler's work
out of the app process. `python -m fmnist_core.engine.cluster_host` with one JSON line {"workers", "memory", "threads"} on standard input
answers with one JSON line {"address", "tls"} and lives until standard input is closed, whatever ends the app.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import tempfile
from typing import Any

TLS = ("tls_ca_file", "tls_client_cert", "tls_client_key")


def worker_environment(workers: int, processors: int) -> dict[str, Any]:
    """Environment of a worker: its share of the processors."""
    threads = max(processors // workers, 1)
    counts = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {"TF_NUM_INTEROP_THREADS": 1} | dict.fromkeys(counts, threads)


def configuration(workers: int, scratch: str) -> dict[str, Any]:
    """Dask's settings for this engine."""
    from dask.system import CPU_COUNT

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
        "distributed.nanny.pre-spawn-environ": worker_environment(workers, CPU_COUNT),
        # Dask opens its web server whatever one says: it serves nothing, on a free port of this machine.
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }


def main() -> None:
    """Serve until standard input ends."""
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
    import dask
    from distributed import LocalCluster, Security

    # After the import, which would add Dask's own worker environment to ours: its MALLOC_TRIM_THRESHOLD_ saves a tenth
    # of the memory and costs a fifth of the speed.
    dask.config.set(configuration(request["workers"], scratch))
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


if __name__ == "__main__":
    main()

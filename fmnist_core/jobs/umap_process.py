"""The program that draws with umap-learn, until it is killed or standard input ends: `reference_umap` starts it."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import warnings
from pathlib import Path

import numpy as np


def main() -> None:
    """Draw a map for each JSON line {"given", "points", "options"}.

    given: a .npz file with features float32 (n, width); indices int32 and distances float32 (n, k), each point its own
    first neighbour; initial float32 (n, dimensions), where the map has a start. points: the .npy file to be written,
    float32 (n, dimensions). options: of umap.UMAP.
    """
    requests: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    warnings.simplefilter("ignore")  # that one core is used, and that new points cannot be added
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # for a part of umap-learn that is not used: 0.5 GB
    from umap import UMAP

    while True:
        request = json.loads(requests.get())
        with np.load(request["given"]) as given:
            init = given.get("initial", "spectral")
            knn = given["indices"], given["distances"]
            model = UMAP(n_jobs=1, init=init, precomputed_knn=knn, **request["options"])
            points = model.fit_transform(given["features"]).astype(np.float32)
        unfinished = Path(request["points"]).with_suffix(".unfinished.npy")
        np.save(unfinished, points)
        unfinished.replace(request["points"])


def _listen(requests: queue.Queue[str]) -> None:
    """Standard input ends with the worker, whatever ends the worker."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()

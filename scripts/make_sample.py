"""Draw the embedded sample from the full data set: 600 training and 100 test images of each class.

Deterministic: the same full set gives the same bytes. Run from the project's root: python scripts/make_sample.py
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from fmnist_core.data import dataset, idx

PER_CLASS = {"train": 600, "test": 100}


def rows(labels: NDArray[np.uint8], per_class: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Row numbers of `per_class` images of each class, in the full set's order."""
    drawn = [rng.choice(np.flatnonzero(labels == label), per_class, replace=False) for label in range(10)]
    return np.sort(np.concatenate(drawn))


def main(folder: Path = dataset.SAMPLE_FOLDER) -> None:
    """Write the four files and the record of what they were drawn from."""
    full = dataset.load("full")
    rng = np.random.default_rng(dataset.SPLIT_SEED)
    folder.mkdir(exist_ok=True)
    record = {}
    for part, per_class in PER_CLASS.items():
        chosen = rows(getattr(full, f"{part}_labels"), per_class, rng)
        for kind in ("images", "labels"):
            name = dataset.FILES[f"{part}_{kind}"]
            content = idx.dump(np.ascontiguousarray(getattr(full, f"{part}_{kind}")[chosen]))
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))
            record[name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    source = {dataset.FILES[key]: expected.sha256 for key, expected in dataset.FULL.items()}
    text = json.dumps(
        {"seed": dataset.SPLIT_SEED, "per_class": PER_CLASS, "source": source, "sample": record}, indent=1
    )
    (folder / "sha256.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

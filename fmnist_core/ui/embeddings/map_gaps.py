"""What is said of layers and epochs that cannot be mapped or measured, beside those that can."""

from __future__ import annotations

from collections.abc import Mapping

from fmnist_core.experiment import wording


def told(missing: str, reasons: Mapping[str, str]) -> str:
    """Each reason once, with all that it is said of; "" without any.

    missing: such as "No map". reasons: a sentence for each layer or epoch, such as "epoch 0".
    """
    named: dict[str, list[str]] = {}
    for what, reason in reasons.items():
        named.setdefault(reason, []).append(what)
    return " ".join(
        f"{missing} of {wording.listed(whats)}: {wording.inside(reason)}" for reason, whats in named.items()
    )

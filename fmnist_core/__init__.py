"""Fashion-MNIST Lab: train dense networks on Fashion-MNIST in front of your eyes."""

from __future__ import annotations

__version__ = "0.2.0"

"""What is drawn is kept: a function of the same content is computed once, whoever asks for it."""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
MOST = 64_000_000  # bytes of all results together


class Kept:
    """The results used last, as many as `most` bytes hold. Safe to share between threads."""

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._results: OrderedDict[bytes, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes, make: Callable[[], Any]) -> Any:
        """The result of a key, made unless it is kept; those that were not used for longest give way."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key][0]
        result = make()
        size = sum(map(len, result)) if isinstance(result, list) else len(result)
        with self._lock:
            _, before = self._results.pop(key, (None, 0))
            self._results[key] = result, size
            self._size += size - before
            while self._size > self._most:
                self._size -= self._results.popitem(last=False)[1][1]
        return result


RESULTS = Kept(MOST)


def kept(function: Callable[P, T]) -> Callable[P, T]:
    """Keep the results of a pure function, which nobody may change: text, bytes, or what tells its bytes by `len`.

    Arguments count by their content, tables and arrays, too: so a caller need not think of a key.
    """
    name = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def found(*args: P.args, **kwargs: P.kwargs) -> T:
        content = pickle.dumps((name, args, kwargs), pickle.HIGHEST_PROTOCOL)
        key = hashlib.blake2b(content, digest_size=16).digest()
        result: T = RESULTS.get(key, lambda: function(*args, **kwargs))
        return result

    return found

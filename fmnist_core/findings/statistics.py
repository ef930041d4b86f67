"""Differences beyond the noise: means over seeds, paired comparisons with a baseline, and two networks image by image.

scipy does the statistics; what is here chooses the test and words its result. Two networks that train with the same
seed share much of their luck (batch order, split), so they are compared seed by seed.
scipy is imported where it is used: it takes half a second, and the first screen needs none of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fmnist_core.errors import LabError
from fmnist_core.experiment import wording

ALPHA = 0.05
FEWEST = 3  # seeds: the t distribution of two is so wide that hardly any difference would be beyond it
# Measures agree to about this much of their size when they are equal but for the rounding of floating-point numbers.
ROUNDING = 1e-12
NAN = math.nan
PLUS_MINUS = "\u00a0±\u00a0"  # a table's cell must not break at it

Measures = Mapping[str, float]
Runs = Mapping[str, Mapping[int, Measures]]


class StatisticsError(LabError):
    """Results that cannot be compared; the text says why."""


@dataclass(frozen=True)
class Summary:
    """Values over n seeds: mean, sample standard deviation, 95 % t interval of the mean; nan where undefined."""

    n: int
    mean: float
    std: float
    low: float
    high: float


def spread(summary: Summary) -> str:
    """Mean and standard deviation over the seeds; a single seed has none."""
    if not np.isfinite(summary.mean):
        return "diverged"
    return f"{summary.mean:.3f}" if summary.n < 2 else f"{summary.mean:.3f}{PLUS_MINUS}{summary.std:.3f}"


@dataclass(frozen=True)
class Comparison:
    """One measure of one model against the baseline, over the seeds that both have.

    n: pairs. difference: model minus baseline, mean over the pairs. low, high: its 95 % interval, and p: the p-value,
    both adjusted for `comparisons` made at once; nan with fewer than 2 pairs. left_out: pairs in which a run diverged.
    """

    name: str
    baseline: str
    measure: str
    n: int
    difference: float
    low: float
    high: float
    p: float
    comparisons: int
    left_out: int = 0

    @property
    def differs(self) -> bool:
        """Whether the difference is beyond the noise; the interval then lies on one side of 0."""
        return self.p < ALPHA


@dataclass(frozen=True)
class McNemar:
    """Two networks on the same n images: how many only the one, or only the other, predicts correctly; the p-value."""

    only_a: int
    only_b: int
    p: float
    n: int


def summary(values: Iterable[float]) -> Summary:
    """Mean, spread and Student's (1908) 95 % interval of the finite values; one value has no spread."""
    finite = np.array([value for value in values if math.isfinite(value)], dtype=np.float64)
    n = len(finite)
    if n < 2:
        return Summary(n, float(finite[0]) if n else NAN, NAN, NAN, NAN)
    low, high, _ = _t(tuple(finite), _rounding(finite), 1)
    return Summary(n, float(finite.mean()), float(finite.std(ddof=1)), low, high)


def compare(
    baseline_name: str, runs: Runs, measures: Sequence[str] = ("test_loss", "test_accuracy")
) -> list[Comparison]:
    """Each other model against the baseline, measure by measure: runs[model][seed][measure], paired by seed.

    A paired t test; intervals and p-values are adjusted for all comparisons together (Bonferroni; Dunn 1961).
    A run with any measure that is not finite has diverged: its pair is left out of every measure, and counted.
    """
    baseline = runs.get(baseline_name, {})
    others = [name for name in runs if name != baseline_name]
    count = len(others) * len(measures)
    comparisons = []
    for name in others:
        common = sorted(set(runs[name]) & set(baseline))
        whole = [s for s in common if all(math.isfinite(run[s][m]) for run in (runs[name], baseline) for m in measures)]
        left_out = len(common) - len(whole)
        for measure in measures:
            model, reference = (np.array([run[s][measure] for s in whole]) for run in (runs[name], baseline))
            difference, low, high, p = _paired(model, reference, count)
            comparisons.append(
                Comparison(name, baseline_name, measure, len(whole), difference, low, high, p, count, left_out)
            )
    return comparisons


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> McNemar:
    """McNemar's test (1947) in its exact, binomial form; bool (n,) each: is the prediction for image i correct?

    It tells two trained networks apart, not two ways of training: for those, compare several seeds.

    Raises:
        StatisticsError: the networks were tested on different numbers of images.
    """
    from scipy.stats import binomtest

    if right_a.shape != right_b.shape:
        raise StatisticsError(
            f"The networks were tested on {len(right_a):,} and {len(right_b):,} images; compare runs on the same data."
        )
    only_a, only_b = int(np.sum(right_a & ~right_b)), int(np.sum(right_b & ~right_a))
    p = float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0
    return McNemar(only_a, only_b, p, len(right_a))


def _paired(
    model: NDArray[np.float64], reference: NDArray[np.float64], count: int
) -> tuple[float, float, float, float]:
    """Mean difference, low, high, p of a paired t test: the t test of the differences."""
    if not len(model):
        return NAN, NAN, NAN, NAN
    differences = model - reference
    return float(differences.mean()), *_t(tuple(differences), _rounding(model, reference), count)


@lru_cache(maxsize=10_000)  # scipy takes 2 ms for each, and a page has dozens
def _t(values: tuple[float, ...], rounding: float, count: int) -> tuple[float, float, float]:
    """Interval (low, high) of the mean, and the p-value of mean 0, of a t test adjusted for `count` tests.

    Values that are equal but for `rounding` have no noise: the mean is exact, and differs from 0 or does not.
    """
    from scipy.stats import ttest_1samp

    if len(values) < 2:
        return NAN, NAN, NAN
    mean = float(np.mean(values))
    if np.ptp(values) <= rounding:
        return (mean, mean, 0.0) if abs(mean) > rounding else (min(mean, 0.0), max(mean, 0.0), 1.0)
    test = ttest_1samp(values, 0.0)
    interval = test.confidence_interval(1 - ALPHA / count)
    return float(interval.low), float(interval.high), min(1.0, float(test.pvalue) * count)


def _rounding(*values: NDArray[np.float64]) -> float:
    return ROUNDING * max(float(np.abs(v).max()) for v in values)


# --- In words -------------------------------------------------------------------------------------------------------


def sentences(comparisons: Sequence[Comparison]) -> list[str]:
    """One sentence for each model that is compared with the baseline, in their order."""
    names = dict.fromkeys(comparison.name for comparison in comparisons)
    return [sentence([each for each in comparisons if each.name == name]) for name in names]


def sentence(comparisons: Sequence[Comparison]) -> str:
    """One sentence about a model's comparisons with the baseline (at least one; one per measure)."""
    first = comparisons[0]
    if first.n < 2:
        return _too_few(first)
    seeds = f"over {first.n} seeds{_left_out(first)}"
    different = [c for c in comparisons if c.differs]
    alike = [_measure(c) for c in comparisons if not c.differs]
    if not different and first.n < FEWEST:
        return f"Two seeds say too little about {first.name}{_left_out(first)}: use three or more, preferably five."
    if not different:
        return f"{first.name} shows no difference beyond the noise in {wording.listed(alike, 'or')} {seeds}."
    changes = wording.listed([_change(c) for c in different], "and")
    remainder = f"; its {wording.listed(alike, 'and')} {_show(alike)} no difference beyond the noise" if alike else ""
    return f"{first.name} {changes} {seeds}{remainder}."


def footnote(comparisons: Sequence[Comparison]) -> str:
    """What the numbers after ± mean, and the correction for several comparisons; "" without any comparison."""
    if not comparisons:
        return ""
    first = comparisons[0]
    count, level = first.comparisons, 100 * (1 - ALPHA / first.comparisons)
    together = f": {wording.percent(1 - ALPHA)} for all {count} comparisons together (Bonferroni)"
    return (
        f"Each ± is half of a {level:.4g} % interval for the mean difference from {first.baseline} over the seeds that"
        f" both have (paired t test){together if count > 1 else ''}; if the noise is normal, at most"
        f" {round(ALPHA * 100)} of 100 such studies report a difference where there is none."
    )


def mcnemar_sentence(name_a: str, name_b: str, result: McNemar) -> str:
    """Which of two trained networks is correct more often, or that the difference may be chance."""
    better = name_a if result.only_a > result.only_b else name_b
    verdict = f"no difference beyond chance ({_p(result.p)})"
    if result.p < ALPHA:
        verdict = f"this trained {better} is correct more often ({_p(result.p)}), but another seed may reverse it"
    return (
        f"On the same {result.n:,} test images, only {name_a} is correct on {result.only_a:,} and only {name_b} on"
        f" {result.only_b:,}: {verdict}."
    )


def _too_few(comparison: Comparison) -> str:
    name, baseline = comparison.name, comparison.baseline
    if comparison.n == 1:
        return f"One seed is not enough{_left_out(comparison)}: train {name} and {baseline} with more seeds."
    if comparison.left_out:
        diverged = f"with each, {name} or {baseline} diverged"
        return f"No seed can be compared: {diverged}; a lower learning rate may help."
    return f"There is nothing to compare yet: train {name} and {baseline} with the same seeds."


def _left_out(comparison: Comparison) -> str:
    return f" ({comparison.left_out} more left out because a run diverged)" if comparison.left_out else ""


def _change(comparison: Comparison) -> str:
    """A difference in words: "lowers test loss by 0.045 ± 0.008"."""
    return f"{'raises' if comparison.difference > 0 else 'lowers'} {_measure(comparison)} by {_plus_minus(comparison)}"


def _plus_minus(comparison: Comparison) -> str:
    """Difference ± half the interval, to the digit that the noise allows: the first of the half, the second after a 1.

    One that differs keeps as many digits as it takes to show that it is larger than its noise.
    """
    size, half = abs(comparison.difference), (comparison.high - comparison.low) / 2
    if half == 0:
        return f"{size:.3g} ± 0"
    digit = -math.floor(math.log10(half))
    for digits in range(digit + (half * 10**digit < 2), digit + 6):
        if round(size, digits) > round(half, digits):
            break
    shown = max(digits, 0)
    return f"{round(size, digits):.{shown}f} ± {round(half, digits):.{shown}f}"


def _p(p: float) -> str:
    """A p-value to one digit, or as many as it takes to stay on its side of the limit."""
    if p < 0.001:
        return "p < 0.001"
    texts = [f"{p:.{digits}g}" for digits in range(1, 9)]
    return "p = " + next((text for text in texts if (float(text) < ALPHA) == (p < ALPHA)), texts[-1])


def _measure(comparison: Comparison) -> str:
    return comparison.measure.replace("cross_entropy", "cross-entropy").replace("_", " ")


def _show(parts: Sequence[str]) -> str:
    return "shows" if len(parts) == 1 else "show"

"""Statistics against scipy, hand-computed numbers and closed formulas; and what the sentences claim, by simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from math import comb

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from fmnist_core.findings.statistics import (
    ALPHA,
    Comparison,
    McNemar,
    StatisticsError,
    compare,
    footnote,
    mcnemar,
    mcnemar_sentence,
    sentence,
    summary,
)

BOTH = ("test_loss", "test_accuracy")
LOSS = ("test_loss",)


def runs_of(losses: Mapping[str, list[float]]) -> dict[str, dict[int, dict[str, float]]]:
    """Losses by model, one a seed from 0."""
    return {name: {seed: {"test_loss": loss} for seed, loss in enumerate(row)} for name, row in losses.items()}


def told(n: int = 5, measure: str = "test_loss", **own: float) -> Comparison:
    """A comparison of Dropout with the base network that shows 0.045 less, with 0.008 as half the interval."""
    values = {"difference": -0.045, "low": -0.053, "high": -0.037, "p": 0.001} | own
    return Comparison("Dropout", "Base network", measure, n, comparisons=8, **values)  # type: ignore[arg-type]


def noise(measure: str = "test_accuracy", n: int = 5) -> Comparison:
    return told(n, measure, difference=0.001, low=-0.002, high=0.004, p=0.6)


# --- Summary --------------------------------------------------------------------------------------------------------


def test_summary_is_the_mean_with_students_interval() -> None:
    values = [0.369, 0.352, 0.391, 0.377]
    found = summary(values)
    assert found.n == 4 and found.mean == pytest.approx(0.37225)
    assert found.std == pytest.approx(stats.tstd(values))
    expected = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)


def test_summary_by_hand() -> None:
    found = summary([1, 2, 3])  # t(0.975, 2 degrees of freedom) = 4.302653, standard error 1/sqrt(3).
    assert (found.mean, found.std) == (2, 1)
    assert (found.low, found.high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))


def test_summary_of_few_equal_or_diverged_values() -> None:
    one = summary([0.5])
    assert (one.n, one.mean) == (1, 0.5)
    assert all(math.isnan(value) for value in (one.std, one.low, one.high))
    none = summary([math.nan, math.inf])
    assert none.n == 0
    assert math.isnan(none.mean)
    equal = summary([0.1, 0.1, 0.1])
    assert (equal.low, equal.high, equal.std) == pytest.approx((0.1, 0.1, 0))
    assert summary([1, math.nan, 3]) == summary([1, 3])


# --- Compare --------------------------------------------------------------------------------------------------------


def test_compare_is_the_paired_t_test_adjusted_for_all_comparisons() -> None:
    random = np.random.default_rng(1)
    names = ("Base", "Dropout", "L2")
    values = random.normal(0.4, 0.02, size=(3, 5, 2)) + np.array([0, -0.05, 0.01])[:, None, None]
    runs = {n: {s: dict(zip(BOTH, values[i, s], strict=True)) for s in range(5)} for i, n in enumerate(names)}
    found = compare("Base", runs)
    assert [(c.name, c.measure) for c in found] == [(name, measure) for name in names[1:] for measure in BOTH]
    for c in found:
        model, column = names.index(c.name), BOTH.index(c.measure)
        test = stats.ttest_rel(values[model, :, column], values[0, :, column])
        differences = values[model, :, column] - values[0, :, column]
        interval = stats.t.interval(1 - 0.05 / 4, 4, loc=differences.mean(), scale=stats.sem(differences))
        assert (c.n, c.comparisons, c.left_out, c.baseline) == (5, 4, 0, "Base")
        assert c.difference == pytest.approx(differences.mean())
        assert c.p == pytest.approx(min(1, 4 * test.pvalue))
        assert (c.low, c.high) == pytest.approx(interval)


def test_compare_by_hand() -> None:
    """Differences 1, 2, 3: t = 2 sqrt(3), and with 2 degrees of freedom p = 1 - t / sqrt(2 + t^2)."""
    (found,) = compare("A", runs_of({"A": [1.0, 1.0, 1.0], "B": [2.0, 3.0, 4.0]}), LOSS)
    t = 2 * 3**0.5
    assert found.p == pytest.approx(1 - t / (2 + t * t) ** 0.5)
    assert found.p == pytest.approx(0.0741799)
    assert (found.low, found.high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    assert not found.differs


def test_pairing_takes_the_seeds_common_luck_out() -> None:
    luck = np.array([0.0, 0.3, -0.2, 0.5, 0.1])
    (found,) = compare("A", runs_of({"A": list(luck), "B": list(luck + np.array([0.1, 0.11, 0.09, 0.1, 0.1]))}), LOSS)
    assert found.differs
    assert stats.ttest_ind(luck, luck + 0.1).pvalue > 0.5


def test_only_common_seeds_are_compared() -> None:
    runs = runs_of({"A": [1.0, 2.0, 4.0, 9.0], "B": [2.0, 3.0, 6.0]})
    del runs["A"][0]
    (found,) = compare("A", runs, LOSS)
    assert (found.n, found.difference, found.left_out) == (2, 1.5, 0)


@pytest.mark.parametrize(("seeds", "difference"), [(0, math.nan), (1, 2.0)])
def test_fewer_than_two_pairs_tell_nothing(seeds: int, difference: float) -> None:
    (found,) = compare("A", runs_of({"A": [1.0] * seeds, "B": [3.0] * seeds}), LOSS)
    assert found.n == seeds
    assert found.difference == pytest.approx(difference, nan_ok=True)
    assert all(math.isnan(value) for value in (found.low, found.high, found.p))
    assert not found.differs


def test_a_baseline_without_runs_yet_tells_nothing() -> None:
    (found,) = compare("A", runs_of({"B": [1.0, 2.0]}), LOSS)
    assert (found.n, found.comparisons, found.differs) == (0, 1, False)
    assert compare("A", runs_of({"A": [1.0]})) == []
    assert compare("A", {}) == []


def test_differences_without_spread() -> None:
    losses = [0.1, 0.2, 0.7]
    shifted = [loss + 0.1 for loss in losses]  # Equal to 0.1 but for rounding: 0.30000000000000004 - 0.2.
    runs = runs_of({"A": losses, "same": list(losses), "shifted": shifted, "noisy": [0.1, 0.2, 0.7 + 1e-9]})
    same, shift, noisy = compare("A", runs, LOSS)
    assert (same.difference, same.low, same.high, same.p, same.differs) == (0, 0, 0, 1, False)
    assert (shift.p, shift.differs) == (0, True)
    assert shift.low == shift.high == pytest.approx(0.1)
    assert noisy.p == 1  # One of three differs: t = 1, p = 0.42, times three comparisons.


def test_diverged_runs_are_left_out_of_every_measure_and_counted() -> None:
    random = np.random.default_rng(2)
    runs = {
        name: {s: dict(zip(BOTH, random.normal(size=2), strict=True)) for s in range(6)} for name in ("A", "B", "C")
    }
    clean = {name: {s: runs[name][s] for s in (1, 2, 4, 5)} for name in runs}
    expected = compare("A", clean)
    runs["B"][0]["test_loss"] = math.nan
    runs["A"][3]["test_loss"] = math.inf
    found = compare("A", runs)
    assert [c.left_out for c in found] == [2, 2, 1, 1]
    for have, want in zip(found[:2], expected[:2], strict=True):
        assert (have.n, have.difference, have.p, have.low) == (4, want.difference, want.p, want.low)


@given(st.lists(st.lists(st.floats(-10, 10), min_size=4, max_size=4), min_size=2, max_size=4))
@example([[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1e-110, 1.0]])
def test_interval_and_p_value_always_agree(rows: list[list[float]]) -> None:
    for c in compare("0", runs_of({str(number): row for number, row in enumerate(rows)}), LOSS):
        assert 0 <= c.p <= 1
        assert c.low <= c.difference + 1e-9
        assert c.high >= c.difference - 1e-9
        if abs(c.p - ALPHA) > 1e-6:
            assert c.differs == (c.low > 0 or c.high < 0)
        assert sentence([c]).endswith(".")


# --- What is claimed, by simulation ---------------------------------------------------------------------------------


def claims(studies: int, seeds: int, effect: float, random_seed: int) -> NDArray[np.bool_]:
    """What simulated studies claim, (studies, 4 models, 2 measures): each run is its seed's luck plus noise of its own.

    The first of the models differs from the baseline by `effect` in its test loss; nothing else does.
    """
    random = np.random.default_rng(random_seed)
    luck = random.normal(0, 0.02, size=(studies, 1, seeds, 2))
    values = 0.4 + luck + random.normal(0, 0.01, size=(studies, 5, seeds, 2))
    values[:, 1, :, 0] += effect
    found = []
    for study in values:
        runs = {str(m): {s: dict(zip(BOTH, study[m, s], strict=True)) for s in range(seeds)} for m in range(5)}
        found.append([c.differs for c in compare("0", runs)])
    return np.array(found).reshape(studies, 4, 2)


@pytest.mark.parametrize("seeds", [3, 5])
def test_at_most_5_percent_of_studies_without_a_difference_claim_one(seeds: int) -> None:
    """At a rate of exactly 5 % the count is binomial: above its 99.9 % quantile (72 of 1,000) the rate is higher."""
    studies = 1000
    wrong = int(claims(studies, seeds, effect=0, random_seed=seeds).any(axis=(1, 2)).sum())
    assert wrong <= stats.binom.ppf(0.999, studies, ALPHA)
    # Without the adjustment it would be about 310; the adjustment must not silence everything either.
    assert wrong > 20


def test_a_large_true_effect_is_found_and_nothing_else() -> None:
    """Ten times the noise, at 5 seeds; the count of other claims is bounded as above."""
    found = claims(200, seeds=5, effect=-0.1, random_seed=9)
    assert found[:, 0, 0].mean() > 0.99
    found[:, 0, 0] = False
    assert found.any(axis=(1, 2)).sum() <= stats.binom.ppf(0.999, 200, ALPHA)


# --- In words -------------------------------------------------------------------------------------------------------

NOISE = "no difference beyond the noise"
SENTENCES = [
    (
        [told(), noise()],
        f"Dropout lowers test loss by 0.045 ± 0.008 over 5 seeds; its test accuracy shows {NOISE}.",
    ),
    (
        [noise("test_loss"), told(measure="test_accuracy", difference=0.0123, low=0.0083, high=0.0163)],
        f"Dropout raises test accuracy by 0.012 ± 0.004 over 5 seeds; its test loss shows {NOISE}.",
    ),
    (
        [told(), told(measure="test_accuracy", difference=0.0123, low=0.0083, high=0.0163)],
        "Dropout lowers test loss by 0.045 ± 0.008 and raises test accuracy by 0.012 ± 0.004 over 5 seeds.",
    ),
    ([noise("test_loss"), noise()], f"Dropout shows {NOISE} in test loss or test accuracy over 5 seeds."),
    ([noise("test_loss")], f"Dropout shows {NOISE} in test loss over 5 seeds."),
    (
        [told(), noise(), noise("seconds"), noise("val_loss")],
        (
            "Dropout lowers test loss by 0.045 ± 0.008 over 5 seeds; "
            f"its test accuracy, seconds and val loss show {NOISE}."
        ),
    ),
    ([told(1), noise(n=1)], "One seed is not enough: train Dropout and Base network with more seeds."),
    ([told(0)], "There is nothing to compare yet: train Dropout and Base network with the same seeds."),
    (
        [told(3, left_out=2), noise(n=3)],
        "Dropout lowers test loss by 0.045 ± 0.008 over 3 seeds (2 more left out because a run diverged);"
        f" its test accuracy shows {NOISE}.",
    ),
    (
        [told(1, left_out=2)],
        (
            "One seed is not enough (2 more left out because a run diverged): "
            "train Dropout and Base network with more seeds."
        ),
    ),
    (
        [told(0, left_out=2)],
        "No seed can be compared: with each, Dropout or Base network diverged; a lower learning rate may help.",
    ),
]


@pytest.mark.parametrize(("comparisons", "text"), SENTENCES)
def test_a_models_comparisons_become_one_sentence(comparisons: list[Comparison], text: str) -> None:
    assert sentence(comparisons) == text


@pytest.mark.parametrize(
    ("difference", "half", "text"),
    [
        (0.0452, 0.0081, "0.045 ± 0.008"),
        (0.0456, 0.0124, "0.046 ± 0.012"),
        (0.99, 0.0951, "0.99 ± 0.10"),
        (12_345, 321, "12300 ± 300"),
        (3.2, 1.04, "3.2 ± 1.0"),
        (0.0100, 0.0096, "0.0100 ± 0.0096"),  # Not 0.01 ± 0.01, which would look like noise.
        (0.0123, 0.01229, "0.01230 ± 0.01229"),
        (0.1, 0.0, "0.1 ± 0"),
    ],
)
def test_differences_are_rounded_to_what_the_noise_allows(difference: float, half: float, text: str) -> None:
    for sign, verb in ((1, "raises"), (-1, "lowers")):
        d = sign * difference
        found = sentence([told(difference=d, low=d - half, high=d + half)])
        assert found == f"Dropout {verb} test loss by {text} over 5 seeds."


def test_the_footnote_tells_interval_and_correction() -> None:
    many, one = footnote([told(), noise()]), footnote(compare("A", runs_of({"A": [1.0, 2.0], "B": [2.0, 4.0]}), LOSS))
    assert "99.38 % interval for the mean difference from Base network" in many
    assert "95 % for all 8 comparisons together (Bonferroni)" in many
    assert "at most 5 of 100" in many
    assert "95 % interval for the mean difference from A" in one
    assert "Bonferroni" not in one
    assert footnote([]) == ""


# --- McNemar --------------------------------------------------------------------------------------------------------


def right(n: int, *places: range) -> NDArray[np.bool_]:
    found = np.zeros(n, dtype=bool)
    for place in places:
        found[place] = True
    return found


@pytest.mark.parametrize(("only_a", "only_b"), [(3, 9), (9, 3), (1, 0), (0, 8), (20, 20), (312, 287)])
def test_mcnemar_is_the_binomial_formula(only_a: int, only_b: int) -> None:
    """Twice the tail at the smaller count of Binomial(only_a + only_b, 1/2), at most 1."""
    both = range(700, 900)
    a, b = right(1000, range(only_a), both), right(1000, range(only_a, only_a + only_b), both)
    found = mcnemar(a, b)
    n, fewer = only_a + only_b, min(only_a, only_b)
    assert (found.only_a, found.only_b, found.n) == (only_a, only_b, 1000)
    assert found.p == pytest.approx(min(1, 2 * sum(comb(n, k) for k in range(fewer + 1)) / 2**n))


def test_networks_that_are_right_on_the_same_images_do_not_differ() -> None:
    same = right(50, range(30))
    found = mcnemar(same, same)
    assert (found.only_a, found.only_b, found.p) == (0, 0, 1)


def test_mcnemar_in_words() -> None:
    a, b = right(10_000, range(312)), right(10_000, range(312, 599))
    start = "On the same 10,000 test images, only A is correct on 312 and only B on 287: "
    assert mcnemar_sentence("A", "B", mcnemar(a, b)) == start + "no difference beyond chance (p = 0.3)."
    none = right(10_000)
    assert mcnemar_sentence("A", "B", mcnemar(none, b)).endswith(
        "this trained B is correct more often (p < 0.001), but another seed may reverse it."
    )
    nine = mcnemar(right(20, range(8)), right(20, range(8, 9)))
    assert (
        "only A is correct on 8 and only B on 1: this trained A is correct more often (p = 0.04), but"
        in mcnemar_sentence("A", "B", nine)
    )


@pytest.mark.parametrize(
    ("p", "text"), [(0.0496, "p = 0.0496"), (0.0504, "p = 0.05"), (0.96, "p = 1"), (0.0014, "p = 0.001")]
)
def test_p_values_stay_on_their_side_of_the_limit(p: float, text: str) -> None:
    assert f"({text})" in mcnemar_sentence("A", "B", McNemar(9, 2, p, 100))


def test_results_on_other_data_are_refused() -> None:
    with pytest.raises(StatisticsError, match="10 and 20 images"):
        mcnemar(right(10), right(20))

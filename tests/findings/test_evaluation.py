"""What a network gets right and wrong: against scikit-learn and against definitions written out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from fmnist_core.findings import evaluation

Case = tuple[NDArray[np.float32], NDArray[np.uint8]]


def case(seed: int, n: int = 400, missing: tuple[int, ...] = ()) -> Case:
    """Probabilities that are often, not always, right. missing: classes that are neither present nor predicted."""
    rng = np.random.default_rng(seed)
    present = [label for label in range(10) if label not in missing]
    labels = rng.choice(present, n).astype(np.uint8)
    logits = rng.normal(0, 1.5, (n, 10))
    logits[np.arange(n), labels] += 2
    logits[:, list(missing)] = -30
    powers = np.exp(logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32), labels


@pytest.mark.parametrize("seed", range(3))
def test_confusion_and_scores_are_scikit_learns(seed: int) -> None:
    probabilities, labels = case(seed, missing=(7,) if seed else ())
    predicted = probabilities.argmax(axis=1)
    counts = evaluation.confusion(probabilities, labels)
    assert (counts == confusion_matrix(labels, predicted, labels=range(10))).all()
    found = evaluation.scores(counts)
    truth = precision_recall_fscore_support(labels, predicted, labels=range(10), zero_division=0)
    for measure, expected in zip((found.precision, found.recall, found.f1, found.support), truth, strict=True):
        np.testing.assert_allclose(np.nan_to_num(measure), expected, rtol=1e-12)
    macro = precision_recall_fscore_support(labels, predicted, labels=range(10), average="macro", zero_division=0)
    assert (found.macro_precision, found.macro_recall, found.macro_f1) == pytest.approx(macro[:3])


def test_what_is_nothing_of_nothing_is_no_number() -> None:
    counts = np.array([[3, 1, 0], [0, 0, 0], [2, 0, 0]])
    found = evaluation.scores(counts)
    assert np.isnan(found.recall[1]) and np.isnan(found.precision[2])  # no image of class 1; none taken for class 2
    assert found.f1[1] == found.f1[2] == found.precision[1] == 0


def test_row_shares_sum_to_one_or_to_nothing() -> None:
    shares = evaluation.row_shares(np.array([[3, 1], [0, 0]]))
    assert shares.tolist() == [[0.75, 0.25], [0, 0]]


def test_wilson_against_scipy() -> None:
    for right, n in ((0, 10), (8898, 10_000), (7, 7), (3, 50)):
        low, high = evaluation.wilson(right, n)
        expected = binomtest(right, n).proportion_ci(method="wilson")
        assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert np.isnan(evaluation.wilson([0], [0])).all()


def naive_error(probabilities: NDArray[np.float32], labels: NDArray[np.uint8], bins: int) -> float:
    """Guo et al. (2017), equation 3, image by image."""
    total = 0.0
    for m in range(bins):
        inside = [i for i, row in enumerate(probabilities) if m / bins < float(row.max()) <= (m + 1) / bins]
        if inside:
            accuracy = np.mean([probabilities[i].argmax() == labels[i] for i in inside])
            confidence = np.mean([float(probabilities[i].max()) for i in inside])
            total += len(inside) / len(labels) * abs(accuracy - confidence)
    return float(total)


@pytest.mark.parametrize("bins", [10, 15])
def test_expected_calibration_error_is_its_definition(bins: int) -> None:
    probabilities, labels = case(5)
    found = evaluation.reliability(probabilities, labels, bins)
    assert found.error == pytest.approx(naive_error(probabilities, labels, bins), abs=1e-9)
    assert found.images.sum() == len(labels)
    filled = found.images > 0
    assert (found.low[filled] <= found.accuracy[filled]).all() and (found.accuracy[filled] <= found.high[filled]).all()
    assert np.isnan(found.accuracy[~filled]).all()


def test_a_calibrated_network_has_nearly_no_error_and_an_overconfident_one_its_excess() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 200_000)
    labels = np.where(rng.random(len(sure)) < sure, 0, 1).astype(np.uint8)
    honest = np.stack([sure, 1 - sure], axis=1).astype(np.float32)
    assert evaluation.reliability(honest, labels).error < 0.005
    boastful = np.tile(np.array([1, 0], np.float32), (len(sure), 1))
    assert evaluation.reliability(boastful, labels).error == pytest.approx(1 - (labels == 0).mean())


def test_upper_edges_belong_to_their_bin() -> None:
    probabilities = np.array([[0.5, 0.5], [1, 0]], np.float32)
    count = evaluation.reliability(probabilities, np.zeros(2, np.uint8), bins=10).images
    assert count.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def test_images_behind_a_cell_and_mistakes_come_by_confidence() -> None:
    probabilities, labels = case(1)
    counts = evaluation.confusion(probabilities, labels)
    true, predicted = 3, int(np.argsort(counts[3])[-2])
    rows = evaluation.cell(probabilities, labels, true, predicted)
    assert len(rows) == counts[true, predicted] > 1
    assert (labels[rows] == true).all() and (probabilities[rows].argmax(axis=1) == predicted).all()
    assert (np.diff(probabilities[rows, predicted]) <= 0).all()
    wrong = evaluation.mistakes(probabilities, labels)
    assert len(wrong) == len(labels) - np.diag(counts).sum()
    assert (np.diff(probabilities[wrong].max(axis=1)) <= 0).all()
    doubtful = evaluation.mistakes(probabilities, labels, doubtful_first=True)
    assert (np.diff(probabilities[doubtful].max(axis=1)) >= 0).all() and set(doubtful) == set(wrong)


def test_top_classes_fall_in_probability() -> None:
    probabilities, _ = case(2, n=50)
    best = evaluation.top(probabilities)
    assert best.shape == (50, 3)
    assert (best[:, 0] == probabilities.argmax(axis=1)).all()
    assert (np.diff(np.take_along_axis(probabilities, best, axis=1), axis=1) <= 0).all()


def test_a_diverged_network_is_told() -> None:
    probabilities, _ = case(0, n=5)
    assert evaluation.all_finite(probabilities)
    probabilities[2, 3] = np.nan
    assert not evaluation.all_finite(probabilities)

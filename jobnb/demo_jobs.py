"""The work of the demo: classifiers on a real data set, in plain Python so that nothing has to be installed for it."""

from __future__ import annotations

import csv
import random
from importlib import resources
from statistics import NormalDist, fmean, stdev

import jobnb

Row = tuple[list[float], int]


def load_wine() -> list[Row]:
    """The 178 wines: thirteen measurements each, and the cultivar."""
    lines = (resources.files("jobnb") / "data" / "wine.csv").read_text(encoding="utf-8").splitlines()
    rows = [[float(cell) for cell in row] for row in csv.reader(lines[1:])]
    return [(row[:-1], int(row[-1])) for row in rows]


def standardized(wines: list[Row]) -> list[Row]:
    """The same wines with every measurement scaled to mean 0 and deviation 1."""
    columns = list(zip(*[measurements for measurements, _ in wines], strict=True))
    scales = [(fmean(column), stdev(column)) for column in columns]
    return [
        ([(value - mean) / deviation for value, (mean, deviation) in zip(measurements, scales, strict=True)], cultivar)
        for measurements, cultivar in wines
    ]


def cross_validate_neighbours(wines: list[Row], neighbours: int, rounds: int = 25) -> dict[str, float]:
    """Accuracy of k nearest neighbours, 5 folds, over several shuffles."""
    print(f"k = {neighbours}, {len(wines)} wines, {rounds} rounds of 5 folds")
    scores = []
    for number in jobnb.track(range(rounds), description="round"):
        shuffled = random.Random(number).sample(wines, len(wines))
        for fold in range(5):
            train = [wine for index, wine in enumerate(shuffled) if index % 5 != fold]
            tested = shuffled[fold::5]
            hits = sum(_nearest(train, measurements, neighbours) == cultivar for measurements, cultivar in tested)
            scores.append(hits / len(tested))
        print(f"round {number + 1}: accuracy so far {fmean(scores):.4f}")
    return {
        "neighbours": neighbours,
        "accuracy": round(fmean(scores), 4),
        "deviation": round(stdev(scores), 4),
    }


def bootstrap_mean(wines: list[Row], column: int, samples: int = 4000) -> dict[str, float]:
    """Mean of one measurement over all wines with its 95 % interval, by resampling."""
    values = [measurements[column] for measurements, _ in wines]
    chance = random.Random(0)
    means = sorted(fmean(chance.choices(values, k=len(values))) for _ in jobnb.track(range(samples)))
    print(f"{samples} resamples of {len(values)} wines")
    return {
        "mean": round(fmean(values), 3),
        "low": round(means[samples // 40], 3),
        "high": round(means[-samples // 40], 3),
    }


def fit_naive_bayes(wines: list[Row], deviation_floor: float) -> float:
    """Accuracy of Gaussian naive Bayes on its own training data; fails on purpose with a floor of zero."""
    one_cultivar = [measurements for measurements, cultivar in wines if cultivar == 1]
    jobnb.progress(0.3, "estimating densities")
    flat = [row[:1] * 2 for row in one_cultivar]
    spread = stdev([row[0] - row[1] for row in flat])
    print(f"spread of the constant feature: {spread}")
    return NormalDist(0, max(spread, deviation_floor)).pdf(0.0)


def _nearest(train: list[Row], measurements: list[float], neighbours: int) -> int:
    distances = sorted(
        (sum((a - b) ** 2 for a, b in zip(measurements, other, strict=True)), cultivar) for other, cultivar in train
    )
    votes = [cultivar for _, cultivar in distances[:neighbours]]
    return max(set(votes), key=votes.count)

"""The model, a linear regression, and the data that it is fitted to.

Every replica makes the same data and takes its own share of the rows. A real
trainer would read its share from Cloud Storage.
"""

import random

TRUTH = (2.0, -3.0, 0.5, 1.0)  # the last one is the bias
SIZE = len(TRUTH)
ROWS = 300
NOISE = 0.1
SEED = 7


def rows():
    """Return all rows as a list of (point, value). A point ends with 1, for the bias."""
    numbers = random.Random(SEED)
    found = []
    for _ in range(ROWS):
        x = [numbers.uniform(-1, 1) for _ in range(SIZE - 1)] + [1.0]
        found.append((x, predict(TRUTH, x) + NOISE * numbers.uniform(-1, 1)))
    return found


def share(index, count):
    """Return the rows of one replica of count. Each row is in exactly one share."""
    return rows()[index::count]


def predict(weights, x):
    return sum(w * xi for w, xi in zip(weights, x))


def gradient(weights, part):
    """Return the gradient of the squared errors over some rows, and their sum.

    Sums, not means: those of several shares add up to those of all rows.
    """
    total, squares = [0.0] * SIZE, 0.0
    for x, y in part:
        error = predict(weights, x) - y
        squares += error ** 2
        total = [t + 2 * error * xi for t, xi in zip(total, x)]
    return total, squares

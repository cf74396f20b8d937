"""Fits a logistic regression to data.csv by gradient descent.

Below the job directory it leaves checkpoints/epoch-<n>.json, model.json and
metrics.json. Started again with the same job directory, it goes on from the
newest checkpoint.
"""

import argparse
import csv
import io
import json
import math
import pkgutil
import sys

from trainer import storage

HELD_OUT = 5  # every fifth row is for the final test only


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job-dir", required=True, help="gs:// URI to write to")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--learning-rate", type=float, default=0.5)
    parser.add_argument("--checkpoint-every", type=int, default=50, metavar="EPOCHS")
    parser.add_argument("--min-accuracy", type=float, default=0.8,
                        help="fail when the model is worse than this")
    options, _ = parser.parse_known_args()

    rows = load()
    training = [row for i, row in enumerate(rows) if i % HELD_OUT]
    held_out = [row for i, row in enumerate(rows) if not i % HELD_OUT]

    checkpoints = storage.join(options.job_dir, "checkpoints/epoch-")
    model = newest(checkpoints)
    while model["epoch"] < options.epochs:
        loss = step(model, training, options.learning_rate)
        if model["epoch"] % options.checkpoint_every == 0 or model["epoch"] == options.epochs:
            print("epoch %d loss %.4f" % (model["epoch"], loss), flush=True)
            storage.write("%s%06d.json" % (checkpoints, model["epoch"]), json.dumps(model))

    right = sum((predict(model, x) >= 0.5) == (label == 1) for x, label in held_out)
    accuracy = right / len(held_out)
    metrics = {"epochs": model["epoch"], "accuracy": accuracy, "rows": len(held_out)}
    storage.write(storage.join(options.job_dir, "model.json"), json.dumps(model) + "\n")
    storage.write(storage.join(options.job_dir, "metrics.json"), json.dumps(metrics) + "\n")
    print(json.dumps(metrics), flush=True)
    if accuracy < options.min_accuracy:
        sys.exit("accuracy %.3f is below %.3f" % (accuracy, options.min_accuracy))


def load():
    """Return data.csv as a list of (point, label)."""
    text = pkgutil.get_data("trainer", "data.csv").decode("utf-8")
    return [((float(row["x1"]), float(row["x2"])), int(row["label"]))
            for row in csv.DictReader(io.StringIO(text))]


def newest(checkpoints):
    """Return the model to go on from: the newest checkpoint's or a fresh one."""
    found = storage.find(checkpoints)
    if not found:
        return {"epoch": 0, "weights": [0.0, 0.0], "bias": 0.0}
    # The numbers have leading zeros, so the last name is the newest one.
    print("resuming from %s" % found[-1], flush=True)
    return json.loads(storage.read(found[-1]))


def predict(model, x):
    """Return the probability of label 1."""
    z = model["bias"] + sum(w * xi for w, xi in zip(model["weights"], x))
    return 1 / (1 + math.exp(-z))


def step(model, rows, learning_rate):
    """Take one step down the gradient over all rows, return the loss before it."""
    loss, bias, weights = 0.0, 0.0, [0.0] * len(model["weights"])
    for x, label in rows:
        p = predict(model, x)
        loss -= math.log(p if label else 1 - p)
        bias += p - label
        weights = [w + (p - label) * xi for w, xi in zip(weights, x)]
    rate = learning_rate / len(rows)
    model["bias"] -= rate * bias
    model["weights"] = [w - rate * g for w, g in zip(model["weights"], weights)]
    model["epoch"] += 1
    return loss / len(rows)


if __name__ == "__main__":
    main()

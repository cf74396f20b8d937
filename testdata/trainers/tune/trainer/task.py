"""Fits a line to points by gradient descent, in a fixed number of steps.

The learning rate and the kind of optimizer decide how close it comes, and the
loss is reported, so that a tuning service can choose them. Each trial has a job
directory of its own and leaves model.json there.
"""

import argparse
import json
import os

from trainer import metrics, storage

STEPS = 40
REPORT_EVERY = 10
POINTS = [(x / 10.0, 3.0 * x / 10.0 - 1.0) for x in range(-10, 11)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job-dir", default="", help="gs:// URI to write model.json to")
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--optimizer", choices=["plain", "momentum"], default="plain")
    options, _ = parser.parse_known_args()

    trial = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {}).get("trial", "")
    print("trial %s: learning rate %g, %s" % (trial or "-", options.learning_rate, options.optimizer), flush=True)

    report = metrics.reporter().report_hyperparameter_tuning_metric
    slope = offset = 0.0
    speed = [0.0, 0.0]
    keep = 0.8 if options.optimizer == "momentum" else 0.0
    for step in range(1, STEPS + 1):
        errors = [(slope * x + offset - y, x) for x, y in POINTS]
        gradient = (sum(2 * e * x for e, x in errors) / len(POINTS), sum(2 * e for e, _ in errors) / len(POINTS))
        speed = [keep * v - options.learning_rate * g for v, g in zip(speed, gradient)]
        slope, offset = slope + speed[0], offset + speed[1]
        if step % REPORT_EVERY == 0:
            loss = sum((slope * x + offset - y) ** 2 for x, y in POINTS) / len(POINTS)
            print("step %d loss %.3g" % (step, loss), flush=True)
            report(hyperparameter_metric_tag="loss", metric_value=loss, global_step=step)

    if options.job_dir:
        model = {"slope": slope, "offset": offset, "loss": loss, "trial": trial}
        storage.write(storage.join(options.job_dir, "model.json"), json.dumps(model) + "\n")


if __name__ == "__main__":
    main()

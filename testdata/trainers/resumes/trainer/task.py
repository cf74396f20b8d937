"""Fits a plane by stochastic gradient descent, and survives the loss of its machine.

Below the job directory it leaves checkpoints/epoch-<n>.json and weights.json.
Wherever it is stopped, and however often, it ends with the same weights.
"""

import argparse
import json
import os
import time

from trainer import storage

ROWS = 200
TRUE = [2.0, -1.0, 0.5]  # what is to be found; the last one has no variable
RATE = 0.05


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job-dir", required=True, help="gs:// URI to write to")
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--checkpoint-every", type=int, default=5, metavar="EPOCHS")
    parser.add_argument("--pause", type=float, default=0.25, help="seconds that an epoch takes at least")
    options, _ = parser.parse_known_args()

    folder = os.environ.get("AIP_CHECKPOINT_DIR") or storage.join(options.job_dir, "checkpoints/")
    print("restart %s" % os.environ.get("JOBDROP_RESTART_COUNT", "unknown"), flush=True)
    state = newest(folder)
    rows = make()
    while state["epoch"] < options.epochs:
        epoch(state, rows)
        time.sleep(options.pause)
        if state["epoch"] % options.checkpoint_every == 0:
            # One object, which is there as a whole or not at all.
            storage.write("%sepoch-%06d.json" % (folder, state["epoch"]), json.dumps(state))
            print("checkpoint %d" % state["epoch"], flush=True)

    storage.write(storage.join(options.job_dir, "weights.json"), json.dumps(state["weights"]) + "\n")
    print("weights %s" % state["weights"], flush=True)


def newest(folder):
    """Return the state to go on from: the newest checkpoint's or a fresh one."""
    found = storage.find(folder + "epoch-")
    if not found:
        return {"epoch": 0, "weights": [0.0] * len(TRUE), "random": 1}
    # The numbers have leading zeros, so the last name is the newest one.
    print("resuming from %s" % found[-1], flush=True)
    return json.loads(storage.read(found[-1]))


def chance(state):
    """Return a number from 0 to 1. The generator's state is the training's, and stands in each checkpoint."""
    state["random"] = (1103515245 * state["random"] + 12345) % 2**31
    return state["random"] / 2**31


def make():
    """Return rows of two variables, and of the plane's height there with some noise."""
    source = {"random": 42}
    rows = []
    for _ in range(ROWS):
        x = [chance(source) * 2 - 1, chance(source) * 2 - 1, 1.0]
        noise = (chance(source) - 0.5) / 10
        rows.append((x, sum(t * xi for t, xi in zip(TRUE, x)) + noise))
    return rows


def epoch(state, rows):
    """Take a step for as many rows as there are, each drawn by chance."""
    for _ in rows:
        x, y = rows[int(chance(state) * len(rows))]
        error = sum(w * xi for w, xi in zip(state["weights"], x)) - y
        state["weights"] = [w - RATE * error * xi for w, xi in zip(state["weights"], x)]
    state["epoch"] += 1


if __name__ == "__main__":
    main()

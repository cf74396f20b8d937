"""Fits a linear regression on several machines at once.

The same program runs on each of them, and TF_CONFIG says which part is its own:
the parameter server holds the weights; chief and workers compute gradients,
each over its own rows; the chief also writes result.json to the job directory.
"""

import argparse
import json
import os
import sys

from trainer import cluster, model, server, storage, wire

MIN_FALL = 10  # the loss has to fall by this factor


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job-dir", required=True, help="gs:// URI to write to")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--learning-rate", type=float, default=0.5)
    parser.add_argument("--join-timeout", type=float, default=300, metavar="SECONDS",
                        help="how long the replicas wait for each other at the start")
    parser.add_argument("--step-timeout", type=float, default=30, metavar="SECONDS",
                        help="how long a replica may take for one gradient")
    options, _ = parser.parse_known_args()

    try:
        own = cluster.read(os.environ)
        print("I am %s of a cluster of %s" % (own.name, own), flush=True)
        if own.name in own.trainers:
            train(own, options)
        else:
            server.serve(own, options)
    except (ValueError, OSError, wire.Error) as error:
        sys.exit("ended early: %s" % error)


def train(own, options):
    """Compute gradients until the server has taken all steps."""
    is_chief = own.name == own.chief
    rows = model.share(own.trainers.index(own.name), len(own.trainers))
    print("%d of %d rows are mine" % (len(rows), model.ROWS), flush=True)

    ps = wire.connect(own.server, "ps-0", options.join_timeout)
    ps.send("join", name=own.name)
    # The server knows best what went wrong, so its deadlines come first.
    patience = options.join_timeout + options.step_timeout
    losses = []
    while True:
        message = ps.receive("weights", patience)
        step = wire.integer(message, "step", ps.peer)
        weights = wire.numbers(message, "weights", model.SIZE, ps.peer)
        if step > 0:
            losses.append(wire.number(message, "loss", ps.peer))
            if is_chief and (step == 1 or step % 10 == 0 or step == options.steps):
                print("step %d loss %.6f" % (step, losses[-1]), flush=True)
        if step >= options.steps:
            break
        gradient, squares = model.gradient(weights, rows)
        ps.send("gradient", step=step, gradient=gradient, squares=squares, rows=len(rows))
        patience = 2 * options.step_timeout
    ps.send("bye")
    if is_chief:
        finish(own, options, ps, losses, weights)
    ps.close()


def finish(own, options, ps, losses, weights):
    """Check that all took part, and write the result. Only the chief does."""
    # The server sends its report when every worker has said good-bye.
    parts = ps.receive("report", 2 * options.step_timeout).get("parts")
    want = {name: {"rows": len(model.share(i, len(own.trainers))), "steps": options.steps}
            for i, name in enumerate(own.trainers)}
    if parts != want:
        raise wire.Error("not all replicas did their part: %s, expected %s" % (parts, want))
    result = {
        "steps": options.steps,
        "loss": {"first": losses[0], "last": losses[-1]},
        "weights": weights,
        "replicas": parts,
        "cluster": own.addresses,
    }
    uri = storage.join(options.job_dir, "result.json")
    storage.write(uri, json.dumps(result, indent=2, sort_keys=True) + "\n")
    ps.send("stop")
    print("all %d replicas took part; wrote %s" % (len(parts), uri), flush=True)
    if losses[-1] * MIN_FALL > losses[0]:
        sys.exit("the loss fell only from %g to %g" % (losses[0], losses[-1]))


if __name__ == "__main__":
    main()

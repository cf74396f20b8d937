"""The parameter server: it holds the weights and takes the steps.

All replicas go in step. The server sends the weights, each replica answers with
the gradient over its rows, and the server moves the weights by the mean.
"""

import socket
import time

from trainer import model, wire

HELLO_SECONDS = 5  # for a connection to say which replica it is


def serve(cluster, options):
    """Serve one training, until the chief says stop."""
    peers = {}
    try:
        gather(cluster, peers, options.join_timeout)
        parts = train(peers, options)
        for peer in peers.values():
            peer.receive("bye", options.step_timeout)
        chief = peers[cluster.chief]
        chief.send("report", parts=parts)
        chief.receive("stop", options.join_timeout)  # it writes the result first
    except wire.Error as error:
        for peer in peers.values():
            peer.fail(str(error))
        raise
    finally:
        for peer in peers.values():
            peer.close()
    print("%s says stop" % cluster.chief, flush=True)


def gather(cluster, peers, seconds):
    """Fill peers with a connection to each replica that trains."""
    deadline = time.monotonic() + seconds
    listener = wire.listen(cluster.server)
    print("listening on %s:%d" % cluster.server, flush=True)
    with listener:
        while len(peers) < len(cluster.trainers):
            missing = [name for name in cluster.trainers if name not in peers]
            left = deadline - time.monotonic()
            try:
                if left <= 0:
                    raise socket.timeout()
                listener.settimeout(left)
                sock, address = listener.accept()
            except socket.timeout:
                raise wire.Error("%s did not join within %g s" % (" and ".join(missing), seconds)) from None
            # Whoever does not join in good form is none of ours: the training
            # does not depend on it.
            peer = wire.Connection(sock, "a connection from %s" % address[0])
            try:
                name = wire.text(peer.receive("join", HELLO_SECONDS), "name", peer.peer)
                if name not in missing:
                    raise wire.Error("%s says it is %.40r, expected %s" % (peer.peer, name, " or ".join(missing)))
            except wire.Error as error:
                print("refused: %s" % error, flush=True)
                peer.fail(str(error))
                continue
            peer.peer = name
            peers[name] = peer
            print("%s joined" % name, flush=True)


def train(peers, options):
    """Take all steps, return how many rows and steps each replica contributed."""
    parts = {name: {"rows": 0, "steps": 0} for name in peers}
    weights, loss = [0.0] * model.SIZE, 0.0
    for step in range(options.steps):
        for peer in peers.values():
            peer.send("weights", step=step, weights=weights, loss=loss)
        deadline = time.monotonic() + options.step_timeout
        total, squares, rows = [0.0] * model.SIZE, 0.0, 0
        for name, peer in peers.items():
            message = peer.receive("gradient", deadline - time.monotonic())
            if wire.integer(message, "step", name) != step:
                raise wire.Error("%s sent the gradient of another step than %d" % (name, step))
            count = wire.integer(message, "rows", name)
            if not 0 < count <= model.ROWS:
                raise wire.Error("%s has %d rows, there are %d" % (name, count, model.ROWS))
            part = wire.numbers(message, "gradient", model.SIZE, name)
            total = [t + p for t, p in zip(total, part)]
            squares += wire.number(message, "squares", name)
            rows += count
            parts[name] = {"rows": count, "steps": parts[name]["steps"] + 1}
        loss = squares / rows  # of the weights as they were sent
        weights = [w - options.learning_rate * t / rows for w, t in zip(weights, total)]
    for peer in peers.values():
        peer.send("weights", step=options.steps, weights=weights, loss=loss)
    return parts

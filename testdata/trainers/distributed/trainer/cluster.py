"""Who takes part in the job, and which of them this process is.

The training service tells it in the variable TF_CONFIG:

    {"cluster": {"chief": ["host:port"], "worker": ["host:port", "host:port"],
                 "ps": ["host:port"]},
     "task": {"type": "worker", "index": 1}}

The chief is called master up to runtime version 1.15.
"""

import json

CHIEFS = ("chief", "master")


class Cluster:
    """A checked TF_CONFIG. Replicas are called by type and index: worker-1."""

    def __init__(self, addresses, name):
        self.addresses = addresses  # type: a list of host:port
        self.name = name

    @property
    def trainers(self):
        """The names of all replicas that train, the chief first."""
        return [name for kind in CHIEFS + ("worker",) for name in self._names(kind)]

    @property
    def chief(self):
        return self.trainers[0]

    @property
    def server(self):
        """The host and port of the parameter server."""
        return split(self.addresses["ps"][0])

    def __str__(self):
        return ", ".join("%d %s" % (len(self.addresses[kind]), kind) for kind in sorted(self.addresses))

    def _names(self, kind):
        return ["%s-%d" % (kind, i) for i in range(len(self.addresses.get(kind, [])))]


def read(environ):
    """Return the cluster that TF_CONFIG describes, or raise a ValueError that says what is wrong with it."""
    text = environ.get("TF_CONFIG", "")
    if not text:
        raise ValueError("TF_CONFIG is not set: this trainer needs a cluster, scale tier CUSTOM with a parameter server")
    try:
        config = json.loads(text)
        addresses = {kind: list(found) for kind, found in config["cluster"].items() if found}
        kind, index = config["task"]["type"], int(config["task"]["index"])
        for found in addresses.values():
            for address in found:
                split(address)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError("TF_CONFIG does not describe a cluster: %r in %s" % (error, text)) from error
    if sum(len(addresses.get(name, [])) for name in CHIEFS) != 1:
        raise ValueError("TF_CONFIG has to name one chief (or master): %s" % text)
    if len(addresses.get("ps", [])) != 1:
        raise ValueError("this trainer keeps all weights on one parameter server; set parameterServerCount to 1: %s" % text)
    if kind not in CHIEFS + ("worker", "ps") or not 0 <= index < len(addresses.get(kind, [])):
        raise ValueError("TF_CONFIG has no replica %s-%d: %s" % (kind, index, text))
    return Cluster(addresses, "%s-%d" % (kind, index))


def split(address):
    """Return host and port of host:port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)

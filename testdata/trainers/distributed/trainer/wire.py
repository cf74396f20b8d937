"""Messages between replicas: JSON objects over TCP, each behind its length.

Nothing that arrives is trusted: a message is bounded, has to come in time, and
each field is checked before it is used.
"""

import json
import socket
import struct
import time

MAX_BYTES = 64 * 1024  # a message here has less than a kilobyte
MAX_NUMBER = 1e100  # beyond it a training has diverged
SEND_SECONDS = 30
_LENGTH = struct.Struct(">I")


class Error(Exception):
    """A peer went away, kept silent, or sent what makes no sense."""


class Connection:
    """A connection to one peer, whose name is for the error messages."""

    def __init__(self, sock, peer):
        self.peer = peer
        self._socket = sock

    def send(self, kind, **fields):
        body = json.dumps(dict(fields, kind=kind)).encode("utf-8")
        try:
            self._socket.settimeout(SEND_SECONDS)
            self._socket.sendall(_LENGTH.pack(len(body)) + body)
        except OSError as error:
            raise Error("%s can't be reached any more: %s" % (self.peer, error)) from error

    def receive(self, kind, seconds):
        """Return the next message, which has to be of this kind."""
        deadline = time.monotonic() + seconds
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, kind, deadline))
        if not 0 < length <= MAX_BYTES:
            raise Error("%s sent a message of %d bytes, %d are allowed" % (self.peer, length, MAX_BYTES))
        body = self._read(length, kind, deadline)
        try:
            message = json.loads(body.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise Error("%s sent no JSON: %s" % (self.peer, error)) from error
        if not isinstance(message, dict):
            raise Error("%s sent JSON that is no object" % self.peer)
        if message.get("kind") == "error":
            raise Error("%s says: %s" % (self.peer, text(message, "text", self.peer)))
        if message.get("kind") != kind:
            raise Error("%s sent no %s" % (self.peer, kind))
        return message

    def fail(self, reason):
        """Tell the peer why this is the end, as far as it still listens."""
        try:
            self.send("error", text=reason)
            self._socket.shutdown(socket.SHUT_WR)
            # Closed with unread bytes, a connection is reset, and the peer may
            # never see the reason. So read what is on its way.
            self._socket.settimeout(1)
            deadline = time.monotonic() + 1
            while self._socket.recv(MAX_BYTES) and time.monotonic() < deadline:
                pass
        except (Error, OSError):
            pass  # gone already: there is nobody to tell
        self.close()

    def close(self):
        self._socket.close()

    def _read(self, count, kind, deadline):
        found = b""
        while len(found) < count:
            left = deadline - time.monotonic()
            try:
                if left <= 0:
                    raise socket.timeout()
                self._socket.settimeout(left)
                part = self._socket.recv(count - len(found))
            except socket.timeout:
                raise Error("%s sent no %s in time" % (self.peer, kind)) from None
            except OSError as error:
                raise Error("%s went away: %s" % (self.peer, error)) from error
            if not part:
                raise Error("%s went away before it sent a %s" % (self.peer, kind))
            found += part
        return found


def connect(address, peer, seconds):
    """Return a connection to a peer that may be yet to start."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            sock = socket.create_connection(address, timeout=max(0.1, deadline - time.monotonic()))
            # With nobody there, a port of this machine may get connected to
            # itself, which would keep the peer from listening on it.
            if sock.getsockname() != sock.getpeername():
                return Connection(sock, peer)
            sock.close()
            reason = "nobody listens"
        except OSError as error:  # not there yet, or its name not known yet
            reason = error
        if time.monotonic() > deadline:
            raise Error("%s at %s:%d can't be reached after %g s: %s" % ((peer,) + tuple(address) + (seconds, reason)))
        time.sleep(0.1)


def listen(address):
    """Return a socket that listens on this address and no other."""
    family, kind, protocol, _, bound = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(bound)
    sock.listen(16)
    return sock


def text(message, name, peer):
    value = message.get(name)
    if not isinstance(value, str):
        raise Error("%s sent no text as %s" % (peer, name))
    return value


def integer(message, name, peer):
    value = message.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Error("%s sent no integer as %s" % (peer, name))
    return value


def number(message, name, peer):
    return _number(message.get(name), name, peer)


def numbers(message, name, count, peer):
    values = message.get(name)
    if not isinstance(values, list) or len(values) != count:
        raise Error("%s did not send %d numbers as %s" % (peer, count, name))
    return [_number(value, name, peer) for value in values]


def _number(value, name, peer):
    # Written like this, the comparison is false for NaN, which JSON in Python may hold.
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= MAX_NUMBER:
        raise Error("%s sent no finite number as %s" % (peer, name))
    return float(value)

"""Redis without detours: many commands as one message, one wait for all answers.

The usual client takes longer to write a command than Redis to carry it out. A thread has a connection of its own here,
so nothing is locked, and commands are bytes that were put together once.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import hiredis

from backend.config import Redis as RedisSettings

_READ_BYTES = 65536


class RedisError(Exception):
    """Redis is away, or refuses us."""


class RedisTimeout(RedisError):
    """Redis did not answer in time."""


def accepted(answer: Any) -> Any:
    """The answer, where it is none that refuses. Raises RedisError."""
    if isinstance(answer, hiredis.ReplyError):
        raise RedisError(str(answer))
    return answer


class Command(NamedTuple):
    """A command as it is sent, and the key that decides which node it belongs to."""

    key: bytes
    packed: bytes


def command(key: bytes, *words: bytes) -> Command:
    """`words` is the whole command; `key` is one of them."""
    return Command(key, b"*%d\r\n%b" % (len(words), packed(*words)))


def packed(*words: bytes) -> bytes:
    """Words of a command as they are sent, without their number."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


def get(key: bytes) -> Command:
    """GET, which most commands are."""
    # As in other places that every request comes to: NamedTuple's own way takes a call of Python's.
    return tuple.__new__(Command, (key, b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key)))


class Connection:
    """One socket to one node. Its methods raise RedisError."""

    def __init__(self, settings: RedisSettings, host: str, port: int) -> None:
        self._reader = hiredis.Reader(protocolError=RedisError, replyError=hiredis.ReplyError)
        self._socket = _open(settings, host, port)
        words = [b"HELLO", b"2", b"SETNAME", b"capstan-backend"]
        if settings.password is not None:
            words[2:2] = [b"AUTH", b"default", settings.password.encode()]
        self.send(command(b"", *words).packed)
        try:
            accepted(*self.receive(1))
        except RedisError:
            self.close()
            raise

    def send(self, message: bytes) -> None:
        """Sends commands."""
        try:
            self._socket.sendall(message)
        except OSError as error:
            raise _said(error) from error

    def receive(self, count: int) -> list[Any]:
        """The answers to that many commands: bytes, int, None, lists of these; hiredis.ReplyError for an error."""
        reader, answers = self._reader, []
        while True:
            while (answer := reader.gets()) is not False:
                answers.append(answer)
                if len(answers) == count:
                    return answers
            self._read()

    def heard(self, timeout_s: float) -> list[Any]:
        """What Redis says by itself: all that is there, or comes within that time; empty where nothing does."""
        messages = self._parsed()
        if messages or not self._has_more(timeout_s):
            return messages
        self._read()
        return self._parsed()

    def _read(self) -> None:
        """Waits for what comes next."""
        try:
            received = self._socket.recv(_READ_BYTES)
        except OSError as error:
            raise _said(error) from error
        if not received:
            raise RedisError("Redis closed the connection")
        self._reader.feed(received)

    def _parsed(self) -> list[Any]:
        return list(iter(self._reader.gets, False))

    def _has_more(self, timeout_s: float) -> bool:
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        poll = select.poll()  # unlike select() it takes any number of a file
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))

    def hang_up(self) -> None:
        """Wakes whoever waits for something to come: nothing will."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes it."""
        self._socket.close()


def _open(settings: RedisSettings, host: str, port: int) -> socket.socket:
    try:
        made = socket.create_connection((host, port), settings.timeout_s)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if settings.tls:
            # The handshake and all that follows keep Python's timeout.
            return ssl.create_default_context().wrap_socket(made, server_hostname=host)
        # Left to the kernel, a timeout costs no call of its own at each receive.
        made.settimeout(None)
        limit = struct.pack("ll", int(settings.timeout_s), int(settings.timeout_s % 1 * 1e6))
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            made.setsockopt(socket.SOL_SOCKET, option, limit)
    except OSError as error:
        raise _said(error) from error
    return made


def _said(error: OSError) -> RedisError:
    if isinstance(error, (TimeoutError, BlockingIOError)):
        return RedisTimeout("no answer in time")
    return RedisError(str(error))


class Sent(NamedTuple):
    """Commands on their way. `rested`: the connection was there before, so it may have died without our knowing."""

    connection: Connection
    message: bytes
    answers: int
    rested: bool


class Node:
    """One Redis server, with a connection for each thread."""

    def __init__(self, settings: RedisSettings, host: str, port: int) -> None:
        self._settings = settings
        self._where = (host, port)
        self._own = threading.local()
        self._all: set[Connection] = set()
        self._lock = threading.Lock()

    def ask(self, packed: Sequence[bytes]) -> list[Any]:
        """The answers to commands."""
        return self.receive(self.send(packed))

    def send(self, packed: Sequence[bytes]) -> Sent:
        """Sends commands, whose answers are to be received before anything else is sent by this thread."""
        message = b"".join(packed)
        connection: Connection | None = getattr(self._own, "connection", None)
        sent = Sent(connection or self._connect(), message, len(packed), connection is not None)
        try:
            sent.connection.send(message)
        except RedisError as error:
            return self._again(sent, error)
        return sent

    def receive(self, sent: Sent) -> list[Any]:
        """The answers."""
        try:
            return sent.connection.receive(sent.answers)
        except RedisError as error:
            return self.receive(self._again(sent, error))
        except BaseException:
            self.forsake(sent)
            raise

    def forsake(self, sent: Sent) -> None:
        """Answers may still come that nobody waits for: they must not be taken for those to something else."""
        self._own.connection = None
        with self._lock:
            self._all.discard(sent.connection)
        sent.connection.close()

    def _again(self, sent: Sent, error: RedisError) -> Sent:
        """The commands once more on a new connection, where the old one had rested."""
        self.forsake(sent)
        if not sent.rested or isinstance(error, RedisTimeout):
            raise error
        anew = sent._replace(connection=self._connect(), rested=False)
        anew.connection.send(sent.message)
        return anew

    def connect(self) -> Connection:
        """A connection that no thread has yet, to be closed by whoever asked for it."""
        return Connection(self._settings, *self._where)

    def _connect(self) -> Connection:
        made = self.connect()
        with self._lock:
            self._all.add(made)
        self._own.connection = made
        return made

    def close(self) -> None:
        """Closes the connections of all threads."""
        with self._lock:
            open_, self._all = self._all, set()
        for connection in open_:
            connection.close()


Ask = Callable[[Sequence[Command]], list[Any]]


class SingleWire:
    """One server holds all keys."""

    def __init__(self, settings: RedisSettings) -> None:
        self._node = Node(settings, settings.host, settings.port)

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The answers, in the order of the commands. Raises RedisError where Redis is away; what it says of a single
        command is a hiredis.ReplyError among the answers."""
        return self._node.ask([one.packed for one in commands])

    def connect(self, key: bytes) -> Connection:
        """A connection of one's own to the node that has the key. Raises RedisError."""
        return self._node.connect()

    def close(self) -> None:
        """Closes all connections."""
        self._node.close()

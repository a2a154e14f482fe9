"""Redis in cluster mode: each key has its node. What goes to several is sent to all before any answer is awaited.

A key's node follows from its slot, a checksum of the key or of its hash tag. Who has which slot is asked of the
cluster, and again when a node says that a key has moved, or does not answer.
"""

from __future__ import annotations

import binascii
import threading
from collections.abc import Sequence
from typing import Any

import hiredis

from backend.cache.wire import Command, Connection, Node, RedisError, Sent, accepted, command
from backend.config import Redis as RedisSettings

SLOTS = 16384
REDIRECTIONS = 5  # of one command, before we give up on it
_SLOTS_COMMAND = command(b"", b"CLUSTER", b"SLOTS").packed
_ASKING = command(b"", b"ASKING").packed

Address = tuple[str, int]


def slot_of(key: bytes) -> int:
    """The slot of a key. Source: Redis cluster specification, key distribution model and hash tags."""
    begin = key.find(b"{")
    if begin >= 0:
        end = key.find(b"}", begin + 1)
        if end > begin + 1:
            key = key[begin + 1 : end]
    return binascii.crc_hqx(key, 0) % SLOTS


def slots_in(answer: Any, asked: Address) -> list[Address | None]:
    """Who has which slot, from the answer to CLUSTER SLOTS; a node without an address is the one that was `asked`."""
    owners: list[Address | None] = [None] * SLOTS
    for first, last, (host, port, *_), *_replicas in answer:
        owners[first : last + 1] = [((host or b"").decode() or asked[0], port)] * (last + 1 - first)
    return owners


class ClusterWire:
    """Many servers hold the keys, each some of them. `settings`: the address of any, or of the configuration
    endpoint."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._nodes: dict[Address, Node] = {}
        self._owners: list[Address | None] = []

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The answers, in the order of the commands. Raises RedisError where a node of theirs is away; what a node says
        of a single command is a hiredis.ReplyError among the answers."""
        owners = self._owners or self._look()
        groups: dict[Address, list[int]] = {}
        for number, one in enumerate(commands):
            groups.setdefault(self._owner(owners, one.key), []).append(number)
        try:
            answers = self._ask_nodes(groups, commands)
        except RedisError:
            self._owners = []  # it may have been replaced
            raise
        return [self._follow(one, answer) for one, answer in zip(commands, answers, strict=True)]

    def connect(self, key: bytes) -> Connection:
        """A connection of one's own to the node that has the key, as far as is known. Raises RedisError."""
        owners = self._look()  # asked anew: whoever needs one lost the last one, maybe because the key has moved
        return self._node(self._owner(owners, key)).connect()

    def close(self) -> None:
        """Closes all connections."""
        for node in self._nodes.values():
            node.close()

    # -- within

    def _ask_nodes(self, groups: dict[Address, list[int]], commands: Sequence[Command]) -> list[Any]:
        sent: list[tuple[Node, list[int], Sent]] = []
        answers: list[Any] = [None] * len(commands)
        try:
            for address, numbers in groups.items():
                node = self._node(address)
                sent.append((node, numbers, node.send([commands[number].packed for number in numbers])))
            while sent:
                node, numbers, under_way = sent.pop(0)
                for number, answer in zip(numbers, node.receive(under_way), strict=True):
                    answers[number] = answer
        finally:
            for node, _, under_way in sent:
                node.forsake(under_way)
        return answers

    def _follow(self, one: Command, answer: Any) -> Any:
        """The answer of the node that has the key now, where this one says that it has moved."""
        for _ in range(REDIRECTIONS):
            words = str(answer).split() if isinstance(answer, hiredis.ReplyError) else []
            if len(words) != 3 or words[0] not in ("MOVED", "ASK"):
                break
            host, _, port = words[2].rpartition(":")
            node = self._node((host or self._settings.host, int(port)))
            if words[0] == "ASK":
                answer = node.ask([_ASKING, one.packed])[1]
            else:
                self._owners = []
                (answer,) = node.ask([one.packed])
        return answer

    def _owner(self, owners: Sequence[Address | None], key: bytes) -> Address:
        owner = owners[slot_of(key)]
        if owner is None:
            self._owners = []
            raise RedisError("no node of the cluster has the key")
        return owner

    def _look(self) -> list[Address | None]:
        """Asks who has which slot: first where we were told to, then all nodes that are known."""
        first = (self._settings.host, self._settings.port)
        error = RedisError("no node of the cluster answers")
        for address in dict.fromkeys([first, *self._nodes]):
            try:
                answer = accepted(*self._node(address).ask([_SLOTS_COMMAND]))
            except RedisError as failure:
                error = failure
            else:
                self._owners = slots_in(answer, address)
                return self._owners
        raise error

    def _node(self, address: Address) -> Node:
        with self._lock:
            if address not in self._nodes:
                self._nodes[address] = Node(self._settings, *address)
            return self._nodes[address]

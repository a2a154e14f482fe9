"""Redis in cluster mode: three real servers on this machine, each with a third of the slots."""

from __future__ import annotations

from pathlib import Path

import redis
from redis.cluster import ClusterNode

from app.backend.tests.servers import PASSWORD, RedisServer, free_port, until

THIRDS = ((0, 5460), (5461, 10922), (10923, 16383))
_NODE = (
    *("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"),
    *("--masterauth", PASSWORD),
)


class RedisCluster:
    """Three nodes that know each other."""

    def __init__(self, folder: Path) -> None:
        self.nodes: list[RedisServer] = []
        for number in range(3):
            (folder / str(number)).mkdir()
            self.nodes.append(RedisServer(folder / str(number), free_port(), *_NODE))
        for node, (first, last) in zip(self.nodes, THIRDS, strict=True):
            node.client().execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for node in self.nodes[1:]:
            self.nodes[0].client().execute_command("CLUSTER", "MEET", "127.0.0.1", node.port)
        until(lambda: all(map(_is_whole, self.nodes)))

    def client(self) -> redis.RedisCluster:
        """A client that shares no code with the service's."""
        nodes = [ClusterNode("127.0.0.1", node.port) for node in self.nodes]
        return redis.RedisCluster(startup_nodes=nodes, password=PASSWORD, decode_responses=True)

    def kill(self) -> None:
        """Kills all of them."""
        for node in self.nodes:
            node.kill()


def _is_whole(node: RedisServer) -> bool:
    told = str(node.client().execute_command("CLUSTER", "INFO"))
    return "cluster_state:ok" in told and "cluster_known_nodes:3" in told

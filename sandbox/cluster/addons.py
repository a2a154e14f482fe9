"""What runs inside the cluster from the start: storage class, cluster DNS, metrics."""

from __future__ import annotations

import secrets
import socket
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

import yaml

from sandbox.cluster.build import PARTS
from sandbox.cluster.kube import Kube, object_path
from sandbox.paths import CLUSTER_DOMAIN, DNS_IP, REGISTRY, SERVICE_IP

MANIFESTS = Path(__file__).parent / "manifests"
VERSIONS = {part.name: part.version for part in PARTS}
VALUES: Mapping[str, str] = {
    "registry": REGISTRY,
    "domain": CLUSTER_DOMAIN,
    "dns_ip": DNS_IP,
    "coredns_version": VERSIONS["coredns"],
    "metrics_version": VERSIONS["metrics-server"],
}


def objects(name: str) -> list[dict[str, Any]]:
    """The objects of ``manifests/<name>.yaml``, in the order in which they are written there."""
    text = Template((MANIFESTS / f"{name}.yaml").read_text()).substitute(VALUES)
    return list(yaml.safe_load_all(text))


def apply(kube: Kube, names: Iterable[str]) -> None:
    """Applies whole manifests; repeating it changes nothing."""
    for name in names:
        for wanted in objects(name):
            kube.apply(wanted)


def is_rolled_out(deployment: Mapping[str, Any]) -> bool:
    """Whether a Deployment's newest description is fully available."""
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    return bool(seen and status.get("updatedReplicas", 0) == wanted and status.get("availableReplicas", 0) == wanted)


def deployment_ready(kube: Kube, name: str) -> bool:
    """Whether the add-on's Deployment serves."""
    return is_rolled_out(kube.get(object_path("Deployment", name, "kube-system")))


def dns_question(name: str, number: int) -> bytes:
    """A DNS query for the IPv4 address of `name` (RFC 1035, section 4.1)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)


def dns_answers(address: str, timeout_s: float = 1.0) -> bool:
    """Whether the cluster's DNS, at `address`, knows the API's own name by its address."""
    number = secrets.randbelow(1 << 16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout_s)
        try:
            client.sendto(dns_question(f"kubernetes.default.svc.{CLUSTER_DOMAIN}", number), (address, 53))
            answer = client.recv(512)
        except OSError:
            return False
    return answer[:2] == struct.pack("!H", number) and answer.endswith(socket.inet_aton(SERVICE_IP))

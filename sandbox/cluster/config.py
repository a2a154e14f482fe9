"""The configuration files of the cluster's components: pure functions from paths to text."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.paths import (
    AUTHENTICATOR,
    BRIDGE,
    CLUSTER_DOMAIN,
    DNS_IP,
    KUBERNETES,
    NODE_IP,
    NODE_NAME,
    POD_CIDR,
    REGISTRY,
    Paths,
)

PAUSE_IMAGE = f"{REGISTRY}/pause:1"
KUBECONFIG_USERS = ("admin", "controller-manager", "scheduler", "kubelet", "kube-proxy")


def files(paths: Paths) -> dict[Path, str]:
    """Every configuration file, by its path. Holds no secret: those are in the kubeconfigs."""
    config = paths.config
    return {
        config / "containerd.toml": containerd(paths),
        config / "certs.d" / REGISTRY / "hosts.toml": registry_host(),
        config / "cni" / "10-sandbox.conflist": _json(cni(paths)),
        config / "registry.yml": _json(registry(paths)),
        config / "kubelet.yaml": _json(kubelet(paths)),
        config / "kube-proxy.yaml": _json(kube_proxy(paths)),
        config / "audit-policy.yaml": _json(audit_policy()),
        config / "authentication-webhook.yaml": _json(authentication_webhook()),
        config / "resolv.conf": "# Pods ask the cluster's DNS; nothing stands behind it.\n",
    }


def containerd(paths: Paths) -> str:
    """containerd's configuration: everything below the state, no journal, no snapshotter that needs a device."""
    return f"""\
version = 2
root = "{paths.state}/containerd"
state = "{paths.run}/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{paths.socket()}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{paths.state}/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # A container may not lower its score below the daemon's without a capability that machines in machines lack.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{paths.config}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{paths.config}/certs.d"
"""


def registry_host() -> str:
    """How containerd reaches the registry: plain HTTP, it never leaves the machine."""
    return f"""\
server = "http://{REGISTRY}"
[host."http://{REGISTRY}"]
  capabilities = ["pull", "resolve"]
"""


def cni(paths: Paths) -> dict[str, Any]:
    """Pods on one bridge, addresses from the node's range, host ports on any address of the host."""
    ranges = [[{"subnet": POD_CIDR, "gateway": NODE_IP}]]
    routes = [{"dst": "0.0.0.0/0"}]
    ipam = {"type": "host-local", "dataDir": f"{paths.run}/cni", "ranges": ranges, "routes": routes}
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return {"cniVersion": "0.4.0", "name": "sandbox", "plugins": [bridge, portmap]}


def registry(paths: Paths) -> dict[str, Any]:
    """The image registry: files below the state, deletion allowed, as ECR allows it."""
    storage = {"filesystem": {"rootdirectory": f"{paths.state}/registry"}, "delete": {"enabled": True}}
    return {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": storage,
        "http": {"addr": REGISTRY},
    }


def kubelet(paths: Paths) -> dict[str, Any]:
    """KubeletConfiguration. `cgroupRoot` must exist before the kubelet starts."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{paths.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{paths.pki}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{paths.pki}/kubelet-server.key",
        "containerRuntimeEndpoint": f"unix://{paths.socket()}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{NODE_NAME}",
        "failCgroupV1": False,
        "failSwapOn": False,
        # Inside another machine's container or VM some settings of the host may not be ours to change.
        "featureGates": {"KubeletInUserNamespace": True},
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "clusterDomain": CLUSTER_DOMAIN,
        "clusterDNS": [DNS_IP],
        "resolvConf": f"{paths.config}/resolv.conf",
        "podLogsDir": f"{paths.log}/pods",
        "volumePluginDir": f"{paths.state}/kubelet/volumeplugins",
        "readOnlyPort": 0,
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "2%", "imagefs.available": "2%"},
        "serializeImagePulls": False,
    }


def kube_proxy(paths: Paths) -> dict[str, Any]:
    """KubeProxyConfiguration: NodePorts on the loopback too, connection tracking left as the host has it."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{paths.config}/kube-proxy.kubeconfig"},
        "mode": "iptables",
        "hostnameOverride": NODE_NAME,
        "bindAddress": NODE_IP,
        "detectLocalMode": "BridgeInterface",
        "detectLocal": {"bridgeInterface": BRIDGE},
        "nodePortAddresses": ["127.0.0.0/8", POD_CIDR],
        "iptables": {"localhostNodePorts": True},
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def audit_policy() -> dict[str, Any]:
    """Every request is recorded, with who, what and which user agent, never with its content."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    }


def authentication_webhook() -> dict[str, Any]:
    """Where the API server asks whose a bearer token is. No answer means: not authenticated by this way."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "aws", "cluster": {"server": f"http://{AUTHENTICATOR}/authenticate"}}],
        "users": [{"name": "apiserver"}],
        "contexts": [{"name": "webhook", "context": {"cluster": "aws", "user": "apiserver"}}],
        "current-context": "webhook",
    }


def kubeconfig(user: str, authority: bytes, certificate: bytes, key: bytes) -> bytes:
    """A kubeconfig with everything inside, so that it can be copied elsewhere. Holds a private key."""
    cluster = {"server": KUBERNETES, "certificate-authority-data": _text(authority)}
    credentials = {"client-certificate-data": _text(certificate), "client-key-data": _text(key)}
    document: Mapping[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbox", "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": user}}],
        "current-context": "sandbox",
    }
    return yaml.safe_dump(document, sort_keys=False).encode()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _json(document: Mapping[str, Any]) -> str:
    # JSON is YAML, and every component's strict reader takes it.
    return json.dumps(document, indent=1) + "\n"

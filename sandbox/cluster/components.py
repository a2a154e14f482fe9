"""The processes of the sandbox: how each is started, in which wave, and how one sees that it serves."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.paths import (
    API_PORT,
    AUTHENTICATOR,
    AWS_API,
    ETCD_PEER_PORT,
    ETCD_PORT,
    KUBERNETES,
    NODE_IP,
    NODE_NAME,
    NODE_PORTS,
    POD_CIDR,
    REGISTRY,
    SERVICE_CIDR,
    Paths,
)


@dataclass(frozen=True)
class Component:
    """One daemon. Those of wave 0 start at once, those of wave 1 when the API server is ready."""

    name: str
    argv: tuple[str, ...]
    wave: int = 0
    address: str = ""  # host:port that accepts connections when it serves; empty: seen through the API server
    in_clone: bool = False  # runs from the checkout, as its own Python code
    environ: Mapping[str, str] = field(default_factory=dict)


def components(paths: Paths) -> tuple[Component, ...]:
    """Every daemon of the sandbox, in the order in which they are named and started."""
    return (
        Component("registry", ("docker-registry", "serve", f"{paths.config}/registry.yml"), address=REGISTRY,
                  environ={"OTEL_TRACES_EXPORTER": "none"}),
        Component("containerd", ("containerd", "-c", f"{paths.config}/containerd.toml")),
        Component("etcd", _etcd(paths), address=f"127.0.0.1:{ETCD_PORT}"),
        Component("kube-apiserver", _apiserver(paths), address=f"{NODE_IP}:{API_PORT}"),
        Component("authenticator", _authenticator(), address=AUTHENTICATOR, in_clone=True),
        Component("aws", _aws(paths), address=AWS_API, in_clone=True),
        Component("kube-controller-manager", _controller_manager(paths), wave=1),
        Component("kube-scheduler", _scheduler(paths), wave=1),
        Component("kubelet", _kubelet(paths), wave=1),
        Component("kube-proxy", (f"{paths.bin}/kube-proxy", f"--config={paths.config}/kube-proxy.yaml"), wave=1),
        Component("volumes", (sys.executable, "-m", "sandbox", "volumes", "--watch"), wave=1, in_clone=True),
    )


def _flags(**flags: object) -> tuple[str, ...]:
    return tuple(f"--{name.replace('_', '-')}={value}" for name, value in flags.items())


def _etcd(paths: Paths) -> tuple[str, ...]:
    client, peer = f"https://127.0.0.1:{ETCD_PORT}", f"http://127.0.0.1:{ETCD_PEER_PORT}"
    return (
        f"{paths.bin}/etcd",
        # Nothing here outlives the machine's power: durability is not worth half a second a write.
        "--unsafe-no-fsync",
        "--client-cert-auth",
        *_flags(name=NODE_NAME, data_dir=f"{paths.state}/etcd", listen_client_urls=client, advertise_client_urls=client,
                listen_peer_urls=peer, initial_advertise_peer_urls=peer, initial_cluster=f"{NODE_NAME}={peer}",
                cert_file=f"{paths.pki}/etcd.crt", key_file=f"{paths.pki}/etcd.key",
                trusted_ca_file=f"{paths.pki}/ca.crt", log_level="warn"),
    )


def _apiserver(paths: Paths) -> tuple[str, ...]:
    pki = paths.pki
    return (
        f"{paths.bin}/kube-apiserver",
        *_flags(bind_address=NODE_IP, advertise_address=NODE_IP, secure_port=API_PORT, authorization_mode="Node,RBAC",
                enable_admission_plugins="NodeRestriction", allow_privileged="true",
                service_cluster_ip_range=SERVICE_CIDR, service_node_port_range=NODE_PORTS,
                # The node's name resolves nowhere: its address is what the API server calls.
                kubelet_preferred_address_types="InternalIP",
                kubelet_certificate_authority=f"{pki}/ca.crt",
                kubelet_client_certificate=f"{pki}/apiserver-kubelet.crt",
                kubelet_client_key=f"{pki}/apiserver-kubelet.key",
                service_account_issuer="https://kubernetes.default.svc.cluster.local",
                service_account_key_file=f"{pki}/service-accounts.pub",
                service_account_signing_key_file=f"{pki}/service-accounts.key",
                client_ca_file=f"{pki}/ca.crt", tls_cert_file=f"{pki}/apiserver.crt",
                tls_private_key_file=f"{pki}/apiserver.key"),
        *_flags(etcd_servers=f"https://127.0.0.1:{ETCD_PORT}", etcd_cafile=f"{pki}/ca.crt",
                etcd_certfile=f"{pki}/etcd-client.crt", etcd_keyfile=f"{pki}/etcd-client.key"),
        *_flags(requestheader_client_ca_file=f"{pki}/front-proxy-ca.crt",
                requestheader_allowed_names="front-proxy-client", requestheader_username_headers="X-Remote-User",
                requestheader_group_headers="X-Remote-Group", requestheader_extra_headers_prefix="X-Remote-Extra-",
                proxy_client_cert_file=f"{pki}/front-proxy-client.crt",
                proxy_client_key_file=f"{pki}/front-proxy-client.key"),
        *_flags(authentication_token_webhook_config_file=f"{paths.config}/authentication-webhook.yaml",
                authentication_token_webhook_version="v1", authentication_token_webhook_cache_ttl="5s"),
        *_flags(audit_policy_file=f"{paths.config}/audit-policy.yaml", audit_log_path=f"{paths.log}/audit.log",
                audit_log_format="json", audit_log_maxsize=500, audit_log_maxbackup=2),
    )


def _controller_manager(paths: Paths) -> tuple[str, ...]:
    pki = paths.pki
    return (
        f"{paths.bin}/kube-controller-manager",
        *_kubeconfigs(paths, "controller-manager"),
        *_flags(bind_address="127.0.0.1", leader_elect="false", use_service_account_credentials="true",
                service_account_private_key_file=f"{pki}/service-accounts.key", root_ca_file=f"{pki}/ca.crt",
                cluster_signing_cert_file=f"{pki}/ca.crt", cluster_signing_key_file=f"{pki}/ca.key",
                client_ca_file=f"{pki}/ca.crt", requestheader_client_ca_file=f"{pki}/front-proxy-ca.crt",
                allocate_node_cidrs="true", cluster_cidr=POD_CIDR, node_cidr_mask_size=24,
                service_cluster_ip_range=SERVICE_CIDR, horizontal_pod_autoscaler_sync_period="5s",
                # The default, 20 a second, holds up the start by four seconds.
                kube_api_qps=200, kube_api_burst=400,
                # Otherwise it makes a folder below /usr/libexec.
                flex_volume_plugin_dir=f"{paths.state}/kubelet/volumeplugins"),
    )


def _scheduler(paths: Paths) -> tuple[str, ...]:
    return (f"{paths.bin}/kube-scheduler", *_kubeconfigs(paths, "scheduler"),
            *_flags(bind_address="127.0.0.1", leader_elect="false", kube_api_qps=200, kube_api_burst=400))


def _kubeconfigs(paths: Paths, user: str) -> tuple[str, ...]:
    kubeconfig = f"{paths.config}/{user}.kubeconfig"
    return _flags(kubeconfig=kubeconfig, authentication_kubeconfig=kubeconfig, authorization_kubeconfig=kubeconfig)


def _kubelet(paths: Paths) -> tuple[str, ...]:
    return (
        f"{paths.bin}/kubelet",
        *_flags(config=f"{paths.config}/kubelet.yaml", kubeconfig=f"{paths.config}/kubelet.kubeconfig",
                root_dir=f"{paths.state}/kubelet", cert_dir=f"{paths.state}/kubelet/pki", hostname_override=NODE_NAME,
                node_ip=NODE_IP,
                # Deprecated, but without it the container metrics carry no namespace, pod and container.
                containerd=paths.socket()),
    )


def _authenticator() -> tuple[str, ...]:
    return (sys.executable, "-m", "sandbox.aws.authenticator", "--listen", AUTHENTICATOR)


def _aws(paths: Paths) -> tuple[str, ...]:
    return (sys.executable, "-m", "sandbox.aws", "--listen", AWS_API, "--state", str(paths.aws),
            "--kubernetes-endpoint", KUBERNETES, "--kubernetes-ca", f"{paths.pki}/ca.crt", "--registry", REGISTRY,
            "--postgres-listen", NODE_IP)

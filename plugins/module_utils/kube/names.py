"""Names: of kinds (`kube.Deployment`), addresses (`kube.Deployment/ns/name`), marks and field manager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VERSION = "0.1.0"
MANAGER = "capstan"  # our field manager
USER_AGENT = f"capstan/{VERSION}"

STACK_LABEL = "capstan.dev/stack"
COMPONENT = "capstan.dev/component"  # annotation
PROTECT = "capstan.dev/protect"  # annotation, "true"
SECRET_PATHS = "capstan.dev/secret-paths"  # annotation: fields whose values are secrets
APPLIED_PATHS = "capstan.dev/applied-paths"  # annotation: fields that we applied last, packed
HASHED = "capstan.dev/hashed"  # annotation, "true": its name in the cluster says what is inside
MANAGED_BY = "app.kubernetes.io/managed-by"  # label

# Group of every kind that is written without its group: those of Kubernetes itself.
BUILT_IN: Mapping[str, str] = {
    kind: group
    for group, kinds in {
        "": "Binding ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod "
        "PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount",
        "apps": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
        "batch": "CronJob Job",
        "autoscaling": "HorizontalPodAutoscaler",
        "policy": "PodDisruptionBudget",
        "networking.k8s.io": "IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR",
        "rbac.authorization.k8s.io": "ClusterRole ClusterRoleBinding Role RoleBinding",
        "storage.k8s.io": "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass",
        "scheduling.k8s.io": "PriorityClass",
        "coordination.k8s.io": "Lease",
        "discovery.k8s.io": "EndpointSlice",
        "node.k8s.io": "RuntimeClass",
        "apiextensions.k8s.io": "CustomResourceDefinition",
        "apiregistration.k8s.io": "APIService",
        "admissionregistration.k8s.io": "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding "
        "MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding "
        "ValidatingWebhookConfiguration",
        "certificates.k8s.io": "CertificateSigningRequest",
        "flowcontrol.apiserver.k8s.io": "FlowSchema PriorityLevelConfiguration",
        "resource.k8s.io": "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice",
    }.items()
    for kind in kinds.split()
}

_CLUSTER_SCOPED = """
    Namespace Node PersistentVolume IngressClass IPAddress ServiceCIDR ClusterRole ClusterRoleBinding CSIDriver CSINode
    StorageClass VolumeAttachment VolumeAttributesClass PriorityClass RuntimeClass CustomResourceDefinition APIService
    MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration ValidatingAdmissionPolicy
    ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration CertificateSigningRequest FlowSchema
    PriorityLevelConfiguration DeviceClass ResourceSlice
"""
CLUSTER_SCOPED = frozenset(_CLUSTER_SCOPED.split())  # of the built-in kinds


@dataclass(frozen=True, order=True)
class GroupKind:
    """A kind and its API group ("" = core). As text: "ConfigMap", "Deployment.apps"."""

    kind: str
    group: str = ""

    def __str__(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @classmethod
    def parse(cls, text: str) -> GroupKind:
        kind, _sep, group = text.strip().partition(".")
        return cls(kind, group)

    @property
    def name(self) -> str:
        """The engine's name of the kind: `kube.Deployment`, `kube.Certificate.cert-manager.io`."""
        return f"kube.{self.kind}" if BUILT_IN.get(self.kind) == self.group else f"kube.{self}"

    @classmethod
    def named(cls, name: str) -> GroupKind:
        """The inverse of `name`. Raises ValueError for what is no such name."""
        prefix, _sep, rest = name.partition(".")
        if prefix != "kube" or not rest:
            raise ValueError(f"{name} is no kind of Kubernetes object")
        kind, dot, group = rest.partition(".")
        return cls(kind, group if dot else BUILT_IN.get(kind, ""))


def group_of(api_version: str) -> str:
    """The group in an apiVersion: "apps/v1" -> "apps", "v1" -> ""."""
    group, slash, _sep = api_version.partition("/")
    return group if slash else ""


def group_kind(manifest: Mapping[str, Any]) -> GroupKind:
    """The GroupKind of an object."""
    return GroupKind(str(manifest.get("kind", "")), group_of(str(manifest.get("apiVersion", ""))))


def address_of(manifest: Mapping[str, Any]) -> str:
    """`kube.<Kind>/<namespace>/<name>`; without the namespace for cluster-scoped objects."""
    metadata = manifest.get("metadata") or {}
    parts = [group_kind(manifest).name, metadata.get("namespace") or "", metadata.get("name") or ""]
    return "/".join(str(part) for part in parts if part)


def home_of(address: str) -> str:
    """The namespace whose apply set lists an object: its own, itself, or "default" for other cluster-scoped ones."""
    kind, _sep, rest = address.partition("/")
    if "/" in rest:
        return rest.partition("/")[0]
    return rest if kind == "kube.Namespace" else "default"


def parent_name(stack: str) -> str:
    """Name of the ConfigMap that is the parent of the stack's apply set in a namespace."""
    return f"capstan-{stack}"


def namespace_id(name: str) -> str:
    """The id of a Namespace: its path in the API."""
    return f"/api/v1/namespaces/{name}"


def parent_id(stack: str, namespace: str) -> str:
    """The id of an apply set's parent: its path in the API."""
    return f"{namespace_id(namespace)}/configmaps/{parent_name(stack)}"

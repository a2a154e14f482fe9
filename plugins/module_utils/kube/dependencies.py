"""What an object needs before it can work, from the manifests alone: pure.

Only real needs chain objects: a workload waits for its settings and identity, not for another workload.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .names import BUILT_IN, GroupKind, address_of, group_kind

Manifest = Mapping[str, Any]
_TEMPLATED = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"})
_LIMITS = frozenset({"LimitRange", "ResourceQuota"})
_HOOKS = frozenset({"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "APIService"})


def dependencies(objects: Mapping[str, Manifest]) -> dict[str, set[str]]:
    """address -> addresses among `objects` that have to be there before it."""
    found: dict[str, set[str]] = {}
    by_kind: dict[str, list[tuple[str, Manifest]]] = {}
    for address, manifest in objects.items():
        by_kind.setdefault(str(manifest.get("kind")), []).append((address, manifest))
    for address, manifest in objects.items():
        wanted = {*_named(manifest), *_selecting(manifest, by_kind), *_definitions(manifest, by_kind)}
        found[address] = {need for need in wanted if need in objects and need != address}
    return found


def _named(manifest: Manifest) -> Iterator[str]:
    """Addresses that the manifest names, there or not."""
    namespace = _namespace(manifest)
    if namespace:
        yield f"kube.Namespace/{namespace}"
    yield from (f"kube.{kind}/{namespace}/{holder.get(key)}" for kind, holder, key in sites(manifest))
    pod = pod_spec(manifest)
    if pod is not None:
        yield from (f"kube.{kind}/{namespace}/{name}" for kind, name in _of_pod(pod))
        yield from (f"kube.PriorityClass/{name}" for name in [pod.get("priorityClassName")] if name)
        yield from (f"kube.RuntimeClass/{name}" for name in [pod.get("runtimeClassName")] if name)
    reader = _READERS.get(group_kind(manifest).kind)
    if reader is not None:
        yield from reader(manifest, namespace)


def pod_spec(manifest: Manifest) -> Manifest | None:
    """The pods that a manifest makes; None for what makes none."""
    kind, spec = manifest.get("kind"), manifest.get("spec") or {}
    if kind == "Pod":
        return spec
    if kind == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    elif kind not in _TEMPLATED:
        return None
    return (spec.get("template") or {}).get("spec") or {}


def _pod_labels(manifest: Manifest) -> Mapping[str, str]:
    kind, spec = manifest.get("kind"), manifest.get("spec") or {}
    if kind == "Pod":
        return (manifest.get("metadata") or {}).get("labels") or {}
    if kind == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}


def _of_pod(pod: Manifest) -> Iterator[tuple[str, str]]:
    """(kind, name) of the other namespaced objects that a pod cannot start without."""
    yield "ServiceAccount", str(pod.get("serviceAccountName") or "")
    for volume in pod.get("volumes") or ():
        yield "PersistentVolumeClaim", (volume.get("persistentVolumeClaim") or {}).get("claimName", "")


def sites(manifest: Manifest) -> Iterator[tuple[str, Manifest, str]]:
    """(kind, mapping, key in it) wherever an object names a ConfigMap or Secret of its namespace."""
    pod = pod_spec(manifest)
    if pod is not None:
        yield from _sites_of_pod(pod)
    if manifest.get("kind") == "ServiceAccount":
        for secret in (*(manifest.get("secrets") or ()), *(manifest.get("imagePullSecrets") or ())):
            yield "Secret", secret, "name"
    if manifest.get("kind") == "Ingress":
        for tls in (manifest.get("spec") or {}).get("tls") or ():
            yield "Secret", tls, "secretName"


def _sites_of_pod(pod: Manifest) -> Iterator[tuple[str, Manifest, str]]:
    for secret in pod.get("imagePullSecrets") or ():
        yield "Secret", secret, "name"
    for volume in pod.get("volumes") or ():
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            yield "ConfigMap", source.get("configMap") or {}, "name"
            secret = source.get("secret") or {}
            yield "Secret", secret, "secretName" if "secretName" in secret else "name"
        yield "Secret", (volume.get("csi") or {}).get("nodePublishSecretRef") or {}, "name"
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        for source in container.get("envFrom") or ():
            yield "ConfigMap", source.get("configMapRef") or {}, "name"
            yield "Secret", source.get("secretRef") or {}, "name"
        for variable in container.get("env") or ():
            source = variable.get("valueFrom") or {}
            yield "ConfigMap", source.get("configMapKeyRef") or {}, "name"
            yield "Secret", source.get("secretKeyRef") or {}, "name"


def _binding(manifest: Manifest, namespace: str) -> Iterator[str]:
    role = manifest.get("roleRef") or {}
    inside = f"{namespace}/" if role.get("kind") == "Role" else ""
    yield f"kube.{role.get('kind')}/{inside}{role.get('name')}"
    for subject in manifest.get("subjects") or ():
        if subject.get("kind") == "ServiceAccount":
            yield f"kube.ServiceAccount/{subject.get('namespace') or namespace}/{subject.get('name')}"


def _autoscaler(manifest: Manifest, namespace: str) -> Iterator[str]:
    target = (manifest.get("spec") or {}).get("scaleTargetRef") or {}
    yield address_of({**target, "metadata": {"namespace": namespace, "name": target.get("name")}})


def _ingress(manifest: Manifest, namespace: str) -> Iterator[str]:
    spec = manifest.get("spec") or {}
    yield f"kube.IngressClass/{spec.get('ingressClassName')}"
    backends = [spec.get("defaultBackend") or {}]
    for rule in spec.get("rules") or ():
        backends += [path.get("backend") or {} for path in (rule.get("http") or {}).get("paths") or ()]
    yield from (f"kube.Service/{namespace}/{(backend.get('service') or {}).get('name')}" for backend in backends)


def _claim(manifest: Manifest, namespace: str) -> Iterator[str]:
    spec = manifest.get("spec") or {}
    yield f"kube.StorageClass/{spec.get('storageClassName')}"
    yield f"kube.PersistentVolume/{spec.get('volumeName')}"


def _volume(manifest: Manifest, namespace: str) -> Iterator[str]:
    yield f"kube.StorageClass/{(manifest.get('spec') or {}).get('storageClassName')}"


def _stateful_set(manifest: Manifest, namespace: str) -> Iterator[str]:
    spec = manifest.get("spec") or {}
    yield f"kube.Service/{namespace}/{spec.get('serviceName')}"
    for claim in spec.get("volumeClaimTemplates") or ():
        yield f"kube.StorageClass/{(claim.get('spec') or {}).get('storageClassName')}"


def _policy_binding(manifest: Manifest, namespace: str) -> Iterator[str]:
    kind = str(manifest.get("kind")).removesuffix("Binding")
    yield f"kube.{kind}/{(manifest.get('spec') or {}).get('policyName')}"


def _hook(manifest: Manifest, namespace: str) -> Iterator[str]:
    for service in _services_of_hook(manifest):
        yield f"kube.Service/{service.get('namespace')}/{service.get('name')}"


_READERS = {
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
    "HorizontalPodAutoscaler": _autoscaler,
    "Ingress": _ingress,
    "PersistentVolumeClaim": _claim,
    "PersistentVolume": _volume,
    "StatefulSet": _stateful_set,
    "ValidatingAdmissionPolicyBinding": _policy_binding,
    "MutatingAdmissionPolicyBinding": _policy_binding,
    **dict.fromkeys(_HOOKS, _hook),
}


def _services_of_hook(manifest: Manifest) -> list[Manifest]:
    services = [(hook.get("clientConfig") or {}).get("service") for hook in manifest.get("webhooks") or ()]
    services.append((manifest.get("spec") or {}).get("service"))
    return [service for service in services if service]


def _selecting(manifest: Manifest, by_kind: Mapping[str, list[tuple[str, Manifest]]]) -> Iterator[str]:
    """What acts on a workload without being named in it has to be there first; a hook needs pods that answer."""
    namespace, kind = _namespace(manifest), manifest.get("kind")
    if pod_spec(manifest) is not None:
        labels = _pod_labels(manifest)
        yield from _in(by_kind, _LIMITS, namespace)
        for address, policy in _objects(by_kind, {"NetworkPolicy"}, namespace):
            selector = (policy.get("spec") or {}).get("podSelector") or {}
            if _matches(selector.get("matchLabels") or {}, labels):
                yield address
        for address, service in _objects(by_kind, {"Service"}, namespace):
            spec = service.get("spec") or {}
            if spec.get("type") != "LoadBalancer" and spec.get("selector") and _matches(spec["selector"], labels):
                yield address
        yield from _rights(manifest, namespace, by_kind)
    elif kind == "PersistentVolumeClaim":
        yield from _in(by_kind, _LIMITS, namespace)
    elif kind in _HOOKS:
        for service in _services_of_hook(manifest):
            yield from _behind(service, by_kind)


def _rights(manifest: Manifest, namespace: str, by_kind: Mapping[str, list[tuple[str, Manifest]]]) -> Iterator[str]:
    """The bindings of a workload's service account."""
    account = (pod_spec(manifest) or {}).get("serviceAccountName")
    if not account:
        return
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        for address, binding in by_kind.get(kind, ()):
            for subject in binding.get("subjects") or ():
                where = subject.get("namespace") or _namespace(binding)
                if (subject.get("kind"), subject.get("name"), where) == ("ServiceAccount", account, namespace):
                    yield address


def _behind(service: Manifest, by_kind: Mapping[str, list[tuple[str, Manifest]]]) -> Iterator[str]:
    """The workloads whose pods answer for a service."""
    namespace = str(service.get("namespace"))
    found = [one for _x, one in _objects(by_kind, {"Service"}, namespace) if one["metadata"]["name"] == service["name"]]
    selectors = [(one.get("spec") or {}).get("selector") or {} for one in found]
    for address, workload in _objects(by_kind, _TEMPLATED, namespace):
        if any(selector and _matches(selector, _pod_labels(workload)) for selector in selectors):
            yield address


def _definitions(manifest: Manifest, by_kind: Mapping[str, list[tuple[str, Manifest]]]) -> Iterator[str]:
    """The definition of a custom resource."""
    kind = group_kind(manifest)
    if BUILT_IN.get(kind.kind) == kind.group:
        return
    for address, definition in by_kind.get("CustomResourceDefinition", ()):
        spec = definition.get("spec") or {}
        if GroupKind(str((spec.get("names") or {}).get("kind")), str(spec.get("group"))) == kind:
            yield address


def _namespace(manifest: Manifest) -> str:
    return str((manifest.get("metadata") or {}).get("namespace") or "")


def _objects(
    by_kind: Mapping[str, list[tuple[str, Manifest]]], kinds: Iterable[str], namespace: str
) -> Iterator[tuple[str, Manifest]]:
    for kind in sorted(kinds):
        yield from (pair for pair in by_kind.get(kind, ()) if _namespace(pair[1]) == namespace)


def _in(by_kind: Mapping[str, list[tuple[str, Manifest]]], kinds: Iterable[str], namespace: str) -> Iterator[str]:
    yield from (address for address, _unused in _objects(by_kind, kinds, namespace))


def _matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())

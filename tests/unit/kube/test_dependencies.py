"""What has to be there before what, from manifests alone."""

from __future__ import annotations

import yaml
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.dependencies import dependencies
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.names import address_of

EVERYTHING = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
---
apiVersion: v1
kind: Secret
metadata: {name: credentials, namespace: shop}
---
apiVersion: v1
kind: Secret
metadata: {name: unused, namespace: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: backend, namespace: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: backend-reads, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: backend}]
---
apiVersion: v1
kind: Service
metadata: {name: backend, namespace: shop}
spec: {selector: {app: backend}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-frontend, namespace: shop}
spec: {podSelector: {matchLabels: {app: backend}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: backend, namespace: shop}
spec:
  selector: {matchLabels: {app: backend}}
  template:
    metadata: {labels: {app: backend}}
    spec:
      serviceAccountName: backend
      initContainers: [{name: migrate, envFrom: [{secretRef: {name: credentials}}]}]
      containers: [{name: a, env: [{name: X, valueFrom: {configMapKeyRef: {name: settings, key: x}}}]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: frontend, namespace: shop}
spec:
  selector: {matchLabels: {app: frontend}}
  template: {metadata: {labels: {app: frontend}}, spec: {containers: [{name: a}]}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: backend, namespace: shop}
spec: {maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: backend}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: backend, port: {number: 80}}}}]}}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shop}
spec: {storageClassName: fast}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: backend
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: a}], volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec: {group: example.org, names: {kind: Widget}}
---
apiVersion: example.org/v1
kind: Widget
metadata: {name: w, namespace: shop}
"""


def needs() -> dict[str, set[str]]:
    objects = {address_of(item): item for item in yaml.safe_load_all(EVERYTHING)}
    return dependencies(objects)


def test_a_workload_waits_for_all_that_its_pods_use_and_all_that_guards_them() -> None:
    assert needs()["kube.Deployment/shop/backend"] == {
        "kube.Namespace/shop",
        "kube.ServiceAccount/shop/backend",
        "kube.RoleBinding/shop/backend-reads",
        "kube.Secret/shop/credentials",
        "kube.ConfigMap/shop/settings",
        "kube.Service/shop/backend",
        "kube.NetworkPolicy/shop/only-frontend",
    }


def test_one_workload_does_not_wait_for_another() -> None:
    assert needs()["kube.Deployment/shop/frontend"] == {"kube.Namespace/shop"}


def test_a_binding_waits_for_its_role_and_account() -> None:
    assert needs()["kube.RoleBinding/shop/backend-reads"] == {
        "kube.Namespace/shop",
        "kube.Role/shop/reader",
        "kube.ServiceAccount/shop/backend",
    }


def test_an_autoscaler_waits_for_what_it_scales_and_an_ingress_for_what_it_leads_to() -> None:
    assert needs()["kube.HorizontalPodAutoscaler/shop/backend"] == {
        "kube.Namespace/shop",
        "kube.Deployment/shop/backend",
    }
    assert needs()["kube.Ingress/shop/web"] == {"kube.Namespace/shop", "kube.Service/shop/backend"}


def test_storage_comes_from_the_class_to_the_claim_to_the_pod() -> None:
    found = needs()
    assert found["kube.PersistentVolumeClaim/shop/data"] == {"kube.Namespace/shop", "kube.StorageClass/fast"}
    assert found["kube.StatefulSet/shop/db"] == {
        "kube.Namespace/shop",
        "kube.PersistentVolumeClaim/shop/data",
        "kube.Service/shop/backend",
    }


def test_a_custom_resource_waits_for_its_definition() -> None:
    assert needs()["kube.Widget.example.org/shop/w"] == {
        "kube.Namespace/shop",
        "kube.CustomResourceDefinition/widgets.example.org",
    }


def test_what_is_named_but_not_described_is_no_need() -> None:
    item = yaml.safe_load(
        "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: n}, spec: {serviceAccountName: x}}"
    )
    assert dependencies({address_of(item): item}) == {"kube.Pod/n/p": set()}

"""Check, act, act again, drift, mend, remove: on a real API server."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.calls import Calls
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.description import Raw, describe
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import ApiError
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.plan import Change
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.runtime import Threads
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.manifests import link_objects
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.provider import KubeProvider

from .descriptions import BACKEND, PLACE, SETTINGS
from .harness import KUBECONFIG, Cluster, actions, audit_offset, change
from .zoo import ZOO

pytestmark = pytest.mark.cluster
EVERYTHING = (PLACE, SETTINGS, BACKEND)


def described(cluster: Cluster, *texts: str) -> list[Raw]:
    place, *rest = texts
    return cluster.raws(place, "namespace") + [raw for text in rest for raw in cluster.raws(text)]


def test_check_on_nothing_plans_everything_and_writes_nothing(cluster: Cluster) -> None:
    offset = audit_offset()
    plan = cluster.plan(described(cluster, *EVERYTHING))
    place = cluster.namespace
    assert actions(plan) == dict.fromkeys(
        [
            f"kube.Namespace/{place}",
            f"kube.ApplySet/{place}/{cluster.stack}",
            f"kube.ConfigMap/{place}/settings",
            f"kube.Secret/{place}/credentials",
            f"kube.ServiceAccount/{place}/backend",
            f"kube.Service/{place}/backend",
            f"kube.Deployment/{place}/backend",
        ],
        "create",
    )
    assert cluster.writes_since(offset) == []


def test_an_apply_does_what_the_check_said_and_the_next_one_does_nothing(cluster: Cluster) -> None:
    raws = described(cluster, *EVERYTHING)
    planned = actions(cluster.plan(raws))
    outcome = cluster.apply(raws)
    assert outcome.applied.done == planned
    assert cluster.object("deployment", "backend")["status"]["availableReplicas"] == 1
    offset = audit_offset()
    again = cluster.apply(raws)
    assert (again.changed, actions(again.plan)) == (False, {})
    assert cluster.writes_since(offset) == []


def test_the_same_fields_are_shown_with_and_without_a_cluster_to_ask(cluster: Cluster) -> None:
    raws = described(cluster, *EVERYTHING)
    offline = {c.address: dict(c.fields) for c in cluster.plan(raws).changes}
    cluster.apply(described(cluster, PLACE))
    online = {c.address: dict(c.fields) for c in cluster.plan(raws).changes if c.action == "create"}
    assert online == {address: offline[address] for address in online}
    assert f"kube.Deployment/{cluster.namespace}/backend" in online


def test_drift_by_hand_is_named_exactly_and_mended_exactly(cluster: Cluster) -> None:
    raws = described(cluster, *EVERYTHING)
    cluster.apply(raws)
    cluster.kubectl("patch", "configmap", "settings", "--patch", '{"data": {"LOG_LEVEL": "debug", "FOREIGN": "x"}}')
    cluster.kubectl("delete", "service", "backend")
    cluster.kubectl("set", "image", "deployment/backend", "backend=127.0.0.1:5000/redis:7")
    plan = cluster.plan(raws)
    place = cluster.namespace
    assert actions(plan) == {
        f"kube.ConfigMap/{place}/settings": "update",
        f"kube.Service/{place}/backend": "create",
        f"kube.Deployment/{place}/backend": "update",
    }
    settings = change(plan, f"kube.ConfigMap/{place}/settings")
    assert dict(settings.fields) == {"data.LOG_LEVEL": ("debug", "info")}
    assert settings.live is not None
    assert settings.live.moved_by["data.LOG_LEVEL"] == "kubectl-patch"
    assert dict(change(plan, f"kube.Deployment/{place}/backend").fields) == {
        "spec.template.spec.containers[backend].image": ("127.0.0.1:5000/redis:7", "127.0.0.1:5000/pause:1")
    }
    outcome = cluster.apply(raws)
    assert outcome.applied.done == actions(plan)
    assert cluster.object("configmap", "settings")["data"] == {"LOG_LEVEL": "info", "POOL": "10", "FOREIGN": "x"}
    assert cluster.apply(raws).changed is False


def test_a_secret_that_was_changed_by_hand_is_mended_and_never_shown(cluster: Cluster) -> None:
    raws = described(cluster, PLACE, SETTINGS)
    cluster.apply(raws)
    cluster.kubectl("patch", "secret", "credentials", "--patch", '{"stringData": {"password": "battery-staple"}}')
    plan = cluster.plan(raws)
    (found,) = (c for c in plan.changes if c.action != "none")
    assert set(found.fields) == {"data.password"}
    assert "horse" not in repr(plan)
    assert "battery-staple" not in repr(dict(found.fields))
    cluster.apply(raws)
    assert cluster.object("secret", "credentials")["data"] == {"password": "Y29ycmVjdC1ob3JzZQ=="}


def test_a_key_that_leaves_the_description_leaves_the_object(cluster: Cluster) -> None:
    cluster.apply(described(cluster, PLACE, SETTINGS))
    less = SETTINGS.replace(', POOL: "10"', "")
    plan = cluster.plan(described(cluster, PLACE, less))
    assert {c.address: dict(c.fields) for c in plan.changes if c.action != "none"} == {
        f"kube.ConfigMap/{cluster.namespace}/settings": {"data.POOL": ("10", None)}
    }
    cluster.apply(described(cluster, PLACE, less))
    assert cluster.object("configmap", "settings")["data"] == {"LOG_LEVEL": "info"}


def test_what_is_removed_is_held_without_prune_and_deleted_with_it(cluster: Cluster) -> None:
    cluster.apply(described(cluster, *EVERYTHING))
    less = described(cluster, PLACE, SETTINGS)
    plan = cluster.plan(less)
    place = cluster.namespace
    deployment, service = f"kube.Deployment/{place}/backend", f"kube.Service/{place}/backend"
    assert actions(plan) == {deployment: "delete", service: "delete"}
    assert change(plan, deployment).held == "it is no longer described; prune: true deletes it"
    outcome = cluster.apply(less, prune=True)
    assert outcome.applied.done == {deployment: "delete", service: "delete"}
    assert cluster.kubectl("get", "deployments,services,pods", "--output=name") == ""
    assert actions(cluster.plan(less)) == {}


def test_prune_leaves_components_alone_that_were_not_described(cluster: Cluster) -> None:
    cluster.apply(described(cluster, *EVERYTHING))
    plan = cluster.plan(described(cluster, PLACE), complete=["namespace", "frontend"], prune=True)
    assert actions(plan) == {}


def test_absent_deletes_everything_of_the_stack(cluster: Cluster) -> None:
    cluster.apply(described(cluster, *EVERYTHING))
    cluster.apply([], absent=True)
    found = cluster.try_kubectl("get", "namespace", cluster.namespace)
    assert "NotFound" in found.stderr


def test_an_object_of_somebody_else_is_a_conflict_before_anything_is_written(cluster: Cluster) -> None:
    cluster.apply(described(cluster, PLACE))
    cluster.kubectl("create", "configmap", "settings", "--from-literal=LOG_LEVEL=trace")
    with pytest.raises(Exception, match="exists and carries no marks of") as caught:
        cluster.plan(described(cluster, PLACE, SETTINGS))
    assert f"kube.ConfigMap/{cluster.namespace}/settings: conflict" in str(caught.value)
    assert cluster.object("configmap", "settings")["data"] == {"LOG_LEVEL": "trace"}


def test_a_field_in_a_controllers_hands_is_reported_with_its_name_and_not_taken(cluster: Cluster) -> None:
    cluster.apply(described(cluster, PLACE, SETTINGS))
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": cluster.namespace},
        "data": {"CERTIFICATE": "theirs"},
    }
    cluster.kubectl("apply", "--server-side", "--field-manager=issuer", "--filename=-", text=json.dumps(theirs))
    wanted = SETTINGS.replace("LOG_LEVEL: info", "LOG_LEVEL: info, CERTIFICATE: ours")
    with pytest.raises(Exception, match=r"data\.CERTIFICATE is held by issuer"):
        cluster.converge(described(cluster, PLACE, wanted))
    assert cluster.object("configmap", "settings")["data"]["CERTIFICATE"] == "theirs"


def test_our_label_taken_off_by_hand_is_put_back(cluster: Cluster) -> None:
    raws = described(cluster, PLACE, SETTINGS)
    cluster.apply(raws)
    cluster.kubectl("label", "configmap", "settings", "capstan.dev/stack-", "app.kubernetes.io/managed-by-")
    assert actions(cluster.plan(raws)) == {f"kube.ConfigMap/{cluster.namespace}/settings": "adopt"}
    cluster.apply(raws)
    assert cluster.object("configmap", "settings")["metadata"]["labels"]["capstan.dev/stack"] == cluster.stack
    assert cluster.apply(raws).changed is False


def test_what_cannot_change_in_place_is_replaced_and_says_why(cluster: Cluster) -> None:
    cluster.apply(described(cluster, *EVERYTHING))
    other = BACKEND.replace("matchLabels: {app: backend}", "matchLabels: {app: web}").replace(
        "labels: {app: backend}}\n    spec", "labels: {app: web}}\n    spec"
    )
    raws = described(cluster, PLACE, SETTINGS, other)
    found = change(cluster.plan(raws), f"kube.Deployment/{cluster.namespace}/backend")
    assert (found.action, found.because, found.first) == ("replace", ("spec.selector",), "delete_first")
    cluster.apply(raws)
    assert cluster.object("deployment", "backend")["spec"]["selector"] == {"matchLabels": {"app": "web"}}
    assert cluster.apply(raws).changed is False


def test_a_mistake_that_only_the_server_knows_is_found_by_the_check(cluster: Cluster) -> None:
    cluster.apply(described(cluster, PLACE))
    bad = SETTINGS.replace("name: settings", "name: Settings_1")
    with pytest.raises(Exception, match="Invalid"):
        cluster.plan(described(cluster, PLACE, bad))


def many(count: int) -> str:
    one = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings-{n}, namespace: NAMESPACE}}\ndata: {{A: '{n}'}}\n"
    )
    return "---\n".join(one.format(n=n) for n in range(count))


def test_no_change_of_25_objects_costs_few_requests(cluster: Cluster) -> None:
    raws = described(cluster, *EVERYTHING, many(19))
    assert len(raws) == 25
    cluster.apply(raws)
    started = time.monotonic()
    outcome = cluster.apply(raws)
    seconds = time.monotonic() - started
    assert (outcome.changed, outcome.stats["writes"]) == (False, 0)
    # discovery 2, one list for each of 6 kinds and namespaces, the apply sets' parents
    assert outcome.stats["calls"] == 9
    assert seconds < 10.0


def test_an_update_never_lands_on_an_object_that_took_the_name_meanwhile(cluster: Cluster) -> None:
    cluster.apply(described(cluster, PLACE, SETTINGS))
    provider = KubeProvider(kubeconfig=KUBECONFIG)
    api = provider.open("main", None, Calls(Threads(), lambda: None))
    raws = described(cluster, PLACE, SETTINGS.replace("info", "debug"))
    settings = describe(link_objects(raws), [provider]).resources[f"kube.ConfigMap/{cluster.namespace}/settings"]
    live = settings.find(api)
    assert live is not None
    cluster.kubectl("delete", "configmap", "settings")
    cluster.kubectl("create", "configmap", "settings", "--from-literal=THEIRS=1")
    with pytest.raises(ApiError, match=r"metadata\.uid: Invalid value"):
        settings.update(api, live, Change(address=live.address, action="update", owner="", component=""))
    assert cluster.object("configmap", "settings")["data"] == {"THEIRS": "1"}


def test_what_the_server_rewrites_in_any_common_kind_is_no_change(cluster: Cluster) -> None:
    raws = described(cluster, PLACE, ZOO)
    cluster.apply(raws)
    plan = cluster.plan(raws)
    assert {c.address: dict(c.fields) for c in plan.changes if c.action != "none"} == {}
    assert cluster.apply(raws).changed is False
    cluster.apply([], absent=True)
    assert "NotFound" in cluster.try_kubectl("get", "namespace", cluster.namespace).stderr
    assert "NotFound" in cluster.try_kubectl("get", "clusterrole", f"{cluster.namespace}-nodes").stderr


def test_an_immutable_object_is_replaced_when_its_content_changes(cluster: Cluster) -> None:
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed, namespace: NAMESPACE}\n"
    fixed = head + "immutable: true\ndata: {A: '1'}\n"
    cluster.apply(described(cluster, PLACE, fixed))
    raws = described(cluster, PLACE, fixed.replace("'1'", "'2'"))
    found = change(cluster.plan(raws), f"kube.ConfigMap/{cluster.namespace}/fixed")
    assert (found.action, found.because) == ("replace", ("data.A (immutable)",))
    cluster.apply(raws)
    assert cluster.object("configmap", "fixed")["data"] == {"A": "2"}
    assert cluster.apply(raws).changed is False

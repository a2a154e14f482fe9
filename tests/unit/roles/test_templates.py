"""What roles describe where a variable decides; what is always so, the scenarios look at."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import InvalidDescription
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.values import references_in

from .conftest import describe


def references(value: Any) -> list[str]:
    """The references anywhere inside `value`, as "kind/name.output"."""
    return [str(reference) for reference in references_in(value)]


def test_a_zone_of_somebody_else_is_only_used() -> None:
    found = describe("dns", dns_domain="example.com", dns_zone_existing=True)
    assert found == {"aws.hosted_zone/main": {"domain": "example.com", "existing": True}}


def test_a_record_can_answer_with_the_load_balancer_of_a_service() -> None:
    records = [{"name": "www", "type": "CNAME", "service": "frontend"}]
    record = describe("dns", dns_domain="example.com", dns_records=records)["aws.record/www-cname"]
    assert (record["name"], record["ttl"]) == ("www.example.com", 300)
    assert references(record["records"]) == ["kube.Service/shop/frontend.address"]


def test_records_of_the_domain_itself_and_of_one_name_have_addresses_of_their_own() -> None:
    records = [
        {"type": "A", "records": ["192.0.2.1"]},
        {"name": "api", "type": "A", "records": ["192.0.2.2"], "set_identifier": "one", "failover": "PRIMARY"},
        {"name": "api", "type": "A", "records": ["192.0.2.3"], "set_identifier": "two", "failover": "SECONDARY"},
    ]
    found = describe("dns", dns_domain="example.com", dns_records=records)
    assert found.keys() >= {"aws.record/apex-a", "aws.record/api-a-one", "aws.record/api-a-two"}
    assert found["aws.record/apex-a"]["name"] == "example.com"
    assert found["aws.record/api-a-two"]["failover"] == "SECONDARY"


def test_nodes_of_a_cluster_reach_database_and_cache_by_the_clusters_own_group() -> None:
    found = describe("network", network_clusters=["main"])
    for name, port in (("database", 5432), ("redis", 6379)):
        backend, nodes = found[f"aws.security_group/{name}"]["ingress"]
        assert backend == {"port": port, "security_group": "backend"}
        assert nodes["port"] == port
        assert references(nodes["security_group"]) == ["aws.eks_cluster/main.security_group"]


def test_private_subnets_lead_where_the_inventory_says() -> None:
    routes = [{"destination": "0.0.0.0/0", "target": "nat-0123456789abcdef0"}]
    found = describe("network", network_private_routes=routes)
    assert found["aws.route_table/private"]["routes"] == routes
    assert found["aws.route_table/isolated"]["routes"] == []


def test_a_boundary_bounds_every_role() -> None:
    boundary = "arn:aws:iam::123456789012:policy/boundary"
    found = describe(
        "identity",
        identity_permissions_boundary=boundary,
        identity_roles=[{"name": "runner", "services": ["ec2.amazonaws.com"]}],
    )
    assert {name: fields["permissions_boundary"] for name, fields in found.items()} == {
        "aws.iam_role/cluster": boundary,
        "aws.iam_role/nodes": boundary,
        "aws.iam_role/runner": boundary,
    }


def test_a_private_cluster_has_no_blocks_for_the_public_endpoint() -> None:
    found = describe("cluster", cluster_endpoint_public=False)["aws.eks_cluster/main"]
    assert (found["endpoint_public"], found["endpoint_private"]) == (False, True)
    assert "public_cidrs" not in found


def test_a_node_group_starts_with_its_fewest_nodes_where_nothing_else_is_said() -> None:
    groups = [{"name": "one", "min_size": 3, "max_size": 5}]
    group = describe("cluster", cluster_node_groups=groups)["aws.eks_nodegroup/one"]
    assert (group["desired_size"], group["capacity_type"]) == (3, "ON_DEMAND")
    assert group["subnets"] == ["private-a", "private-b", "private-c"]


def test_a_repository_that_keeps_everything_has_no_rule() -> None:
    found = describe("registry", registry_images=[{"name": "app"}], registry_keep_images=0)
    assert found.keys() == {"aws.ecr_repository/app"}
    assert "lifecycle_policy" not in found["aws.ecr_repository/app"]


def test_settings_of_a_database_instance_come_from_it() -> None:
    found = describe("settings", settings_database_instance="main", settings_redis_password="not-shown")
    data = found["kube.ConfigMap/shop/app-config"]["data"]
    assert references([data["DATABASE_HOST"], data["DATABASE_PORT"], data["DATABASE_NAME"]]) == [
        "aws.db_instance/main.address",
        "aws.db_instance/main.port",
        "aws.db_instance/main.database",
    ]
    manifest = found["kube.Secret/shop/database-credentials"]
    assert manifest["metadata"]["annotations"] == {"capstan.dev/hashed": "true"}
    secret = manifest["stringData"]
    assert secret.keys() == {"DATABASE_SECRET"}
    assert references(secret) == ["aws.db_instance/main.master_secret"]


def test_without_a_cache_nobody_is_told_of_one() -> None:
    found = describe("settings", settings_redis_host="")
    assert not [key for key in found["kube.ConfigMap/shop/app-config"]["data"] if key.startswith("REDIS")]
    assert "kube.Secret/shop/redis-credentials" not in found


def test_redis_without_persistence_has_no_volume() -> None:
    spec = describe("redis", redis_persistent=False)["kube.StatefulSet/shop/redis"]["spec"]
    assert "volumeClaimTemplates" not in spec
    assert {"name": "data", "emptyDir": {}} in spec["template"]["spec"]["volumes"]


@pytest.mark.parametrize("role", ["backend", "frontend"])
@pytest.mark.parametrize(
    ("variables", "refers_to", "ends_with"),
    [
        ({}, ["aws.image/ROLE.reference"], ")"),
        ({"ROLE_image_tag": "1.2.3"}, ["aws.ecr_repository/ROLE.uri"], ":1.2.3"),
        ({"ROLE_image": "registry.example.com/app:9"}, [], "registry.example.com/app:9"),
    ],
)
def test_the_image_is_pushed_here_or_by_a_pipeline_or_named(
    role: str, variables: dict[str, str], refers_to: list[str], ends_with: str
) -> None:
    given = {name.replace("ROLE", role): value for name, value in variables.items()}
    deployment = describe(role, **given)[f"kube.Deployment/shop/{role}"]
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    assert references(image) == [reference.replace("ROLE", role) for reference in refers_to]
    assert image.endswith(ends_with)


def test_as_many_pods_at_most_as_at_least_need_no_autoscaler() -> None:
    found = describe("backend", backend_replicas_min=3, backend_replicas_max=3)
    assert "kube.HorizontalPodAutoscaler/shop/backend" not in found
    assert found["kube.Deployment/shop/backend"]["spec"]["replicas"] == 3


def test_a_range_of_ports_may_be_reached() -> None:
    egress = [{"cidr": "192.0.2.0/24", "port": 15432, "end_port": 15499}]
    policy = describe("backend", backend_egress=egress)["kube.NetworkPolicy/shop/backend"]["spec"]
    assert policy["egress"][2]["ports"] == [{"protocol": "TCP", "port": 15432, "endPort": 15499}]


def test_only_listed_blocks_reach_the_page_where_there_are_any() -> None:
    policy = describe("frontend", frontend_ingress_cidrs=["192.0.2.0/24"])["kube.NetworkPolicy/shop/frontend"]["spec"]
    assert policy["ingress"][0]["from"] == [{"ipBlock": {"cidr": "192.0.2.0/24"}}]


def test_with_a_certificate_the_load_balancer_speaks_https_and_nothing_else() -> None:
    arn = "arn:aws:acm:us-east-1:123456789012:certificate/1"
    given = {"service.beta.kubernetes.io/aws-load-balancer-type": "external"}
    service = describe("frontend", frontend_certificate=arn, frontend_service_annotations=given)[
        "kube.Service/shop/frontend"
    ]
    assert service["spec"]["ports"] == [{"name": "https", "port": 443, "targetPort": "http"}]
    assert service["metadata"]["annotations"] == {
        **given,
        "service.beta.kubernetes.io/aws-load-balancer-ssl-cert": arn,
        "service.beta.kubernetes.io/aws-load-balancer-ssl-ports": "https",
    }


def test_without_a_certificate_the_page_is_plain_http_as_it_was() -> None:
    service = describe("frontend")["kube.Service/shop/frontend"]
    assert service["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]
    assert not service["metadata"].get("annotations")


def test_a_namespace_for_which_nobody_has_rights_binds_nobody() -> None:
    assert not [address for address in describe("namespace") if address.startswith("kube.RoleBinding/")]


def test_a_wrong_type_and_an_unknown_option_are_named_together() -> None:
    with pytest.raises(InvalidDescription) as refused:
        describe(
            "network", network_subnets=[{"name": "a", "tier": "hidden", "zone": "us-east-1a", "cidrs": "10.0.0.0/24"}]
        )
    text = "\n".join(refused.value.problems)
    assert 'network_subnets[0] has no option "cidrs". Did you mean "cidr"?' in text
    assert "value of tier must be one of: public, private, isolated, got: hidden" in text

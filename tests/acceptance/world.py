"""A user's machine: the playbook, an AWS API of its own, the shared cluster, and eyes that look at both."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.torture.arena import DIGEST, Arena

RUN_LIMIT_S = 200.0
KUBE_KINDS = (
    "configmaps,secrets,services,deployments,statefulsets,horizontalpodautoscalers,poddisruptionbudgets,"
    "networkpolicies,serviceaccounts,resourcequotas,limitranges,roles,rolebindings"
)
# What Kubernetes puts into every namespace by itself, and the record of the set (planned as kube.ApplySet).
NOT_OURS = frozenset({"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"})


@dataclass(frozen=True)
class Ran:
    """What one run printed, planned and wrote."""

    code: int
    out: str
    seconds: float
    plan: list[dict[str, Any]]
    aws: list[str]  # the write operations
    kube: list[str]  # "PATCH /api/v1/…"; dry-runs are no writes
    calls: int  # reads and writes, of both

    @property
    def changes(self) -> dict[str, str]:
        """Address to action, of all that is not as described."""
        return {each["address"]: each["action"] for each in self.plan if each["action"] != "none"}

    @property
    def writes(self) -> list[str]:
        return [*self.aws, *self.kube]

    @property
    def lasting(self) -> list[str]:
        """The writes but those of the lock and its journal."""
        return [each for each in self.writes if each not in {"PutParameter", "DeleteParameter"}]

    def of(self, address: str) -> dict[str, Any]:
        found = [each for each in self.plan if each["address"] == address]
        assert found, f"the plan says nothing of {address}\n{self.out}"
        return found[0]


class World(Arena):
    """An Arena whose runs are looked at."""

    def play(
        self,
        *options: str,
        inventory: str = "inventories/sandbox",
        environment: Mapping[str, str] | None = None,
        **variables: Any,
    ) -> Ran:
        """A whole `ansible-playbook` process, and what it did."""
        path = self._folder / "plan.json"
        path.unlink(missing_ok=True)
        mark, seen, started = self.aws.mark(), len(self.gate.calls), time.monotonic()
        given = {"stack_plan_path": str(path), **variables}
        process = self.start(*options, inventory=inventory, variables=given, environment=environment)
        code = process.wait(RUN_LIMIT_S)
        seconds = time.monotonic() - started
        plan = json.loads(path.read_text())["plan"] if path.exists() else []
        aws, kube = self.aws.calls(mark), self.gate.since(seen)
        return Ran(
            code,
            self.output(),
            seconds,
            plan,
            [call["operation"] for call in aws if call["write"]],
            [call["operation"] for call in kube if call["write"]],
            len(aws) + len(kube),
        )

    def check(self, *options: str, **more: Any) -> Ran:
        """`--check`; it wrote nothing, whatever it says."""
        ran = self.play("--check", *options, **more)
        assert ran.writes == [], ran.out
        return ran

    @property
    def gate_ca(self) -> Path:
        return self._state.pki / "ca.crt"

    # -- what is there, read by boto3 and kubectl -------------------------------------------------------------------
    def tagged(self, items: list[dict[str, Any]], address: str) -> dict[str, Any]:
        """The one item of an EC2 answer that carries `address`."""
        (found,) = (item for item in items if {"Key": "capstan:address", "Value": address} in item.get("Tags", []))
        return found

    def group(self, name: str) -> dict[str, Any]:
        groups = self.aws.client("ec2").describe_security_groups()["SecurityGroups"]
        return self.tagged(groups, f"aws.security_group/{name}")

    def route_table(self, name: str) -> dict[str, Any]:
        return self.tagged(self.aws.client("ec2").describe_route_tables()["RouteTables"], f"aws.route_table/{name}")

    def ports_of(self, group: str) -> list[int]:
        return sorted(rule["FromPort"] for rule in self.group(group)["IpPermissions"])

    def database(self) -> dict[str, Any]:
        found: dict[str, Any] = self.aws.client("rds").describe_db_instances()["DBInstances"][0]
        return found

    def addresses(self) -> set[str]:
        """Everything that exists, as the addresses by which a plan names it."""
        return self._tagged_addresses() | self._untagged_addresses() | self._kube_addresses()

    def _tagged_addresses(self) -> set[str]:
        filters = [{"Name": "key", "Values": ["capstan:address"]}]
        found = [tag["Value"] for tag in self.aws.client("ec2").describe_tags(Filters=filters)["Tags"]]
        tags: list[Any] = []
        iam, eks, ecr = (self.aws.client(service) for service in ("iam", "eks", "ecr"))
        tags += [iam.list_role_tags(RoleName=role["RoleName"])["Tags"] for role in iam.list_roles()["Roles"]]
        for name in eks.list_clusters()["clusters"]:
            tags.append(eks.describe_cluster(name=name)["cluster"]["tags"])
            for group in eks.list_nodegroups(clusterName=name)["nodegroups"]:
                tags.append(eks.describe_nodegroup(clusterName=name, nodegroupName=group)["nodegroup"]["tags"])
        for repository in ecr.describe_repositories()["repositories"]:
            tags.append(ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"])
        rds, route53 = self.aws.client("rds"), self.aws.client("route53")
        tags += [each["TagList"] for each in rds.describe_db_instances()["DBInstances"]]
        for each in rds.describe_db_subnet_groups()["DBSubnetGroups"]:
            tags.append(rds.list_tags_for_resource(ResourceName=each["DBSubnetGroupArn"])["TagList"])
        for zone in route53.list_hosted_zones()["HostedZones"]:
            name = zone["Id"].rpartition("/")[2]
            answer = route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=name)
            tags.append(answer["ResourceTagSet"]["Tags"])
        return {*found, *filter(None, map(address_in, tags))}

    def _untagged_addresses(self) -> set[str]:
        """Images and records: no tags there."""
        found = set()
        ecr, route53 = self.aws.client("ecr"), self.aws.client("route53")
        for repository in ecr.describe_repositories()["repositories"]:
            if was_pushed_to(repository["repositoryUri"]):
                tags = ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
                found.add(f"aws.image/{(address_in(tags) or '').rpartition('/')[2]}")
        for zone in route53.list_hosted_zones()["HostedZones"]:
            for record in route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]:
                if record["Type"] in {"A", "CNAME"}:
                    found.add(f"aws.record/{record['Name'].partition('.')[0]}-{record['Type'].lower()}")
        return found

    def _kube_addresses(self) -> set[str]:
        answer = self.kubectl("get", KUBE_KINDS, "-n", self.stack, "-o", "json")
        names = {
            f"{each['kind']}/{DIGEST.sub('', each['metadata']['name'])}" for each in json.loads(answer)["items"]
        } - NOT_OURS
        found = {f"kube.{kind}/{self.stack}/{name}" for kind, _, name in (each.partition("/") for each in names)}
        record = f"kube.ConfigMap/{self.stack}/capstan-{self.stack}"
        if record in found:
            found = found - {record} | {f"kube.ApplySet/{self.stack}/{self.stack}"}
        if self.kubectl("get", "namespace", self.stack, "-o", "name"):
            found.add(f"kube.Namespace/{self.stack}")
        return found

    def named(self, kind: str, stem: str) -> str:
        """The name in the cluster of an object whose content is in its name."""
        names = self.kubectl("get", kind, "-n", self.stack, "-o", "jsonpath={.items[*].metadata.name}").split()
        (found,) = [name for name in names if DIGEST.sub("", name) == stem != name]
        return found

    def pods(self, component: str) -> dict[str, bool]:
        """Pod name to "is it ready"."""
        chosen = ("-l", f"app.kubernetes.io/name={component}")
        items = json.loads(self.kubectl("get", "pods", "-n", self.stack, *chosen, "-o", "json"))["items"]
        return {
            pod["metadata"]["name"]: any(
                each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", [])
            )
            for pod in items
        }


def address_in(tags: Any) -> str | None:
    """`capstan:address` of tags in any of AWS's shapes: a mapping, or a list of Key and Value."""
    pairs = tags if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}
    return pairs.get("capstan:address")


def was_pushed_to(uri: str) -> bool:
    """Does the registry itself know the repository `uri`? It does since the first push."""
    host, _, name = uri.partition("/")
    with urllib.request.urlopen(f"http://{host}/v2/_catalog?n=100&last={name[:-1]}") as answer:
        return name in json.load(answer)["repositories"]


def until(condition: Callable[[], Any], limit_s: float = 60.0) -> None:
    """Waits for `condition`."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def message(out: str) -> str:
    """A failed run's message, without what ansible prints around it."""
    found = re.search(r"^\[ERROR\]: Task failed: Action failed: (.*?)\nOrigin: ", out, re.MULTILINE | re.DOTALL)
    assert found, out
    return found[1].strip()


def fresh(folder: Path) -> str:
    """A name for a stack that nobody else uses."""
    return f"accept-{folder.name[-1]}{int(time.time() * 10) % 0xFFFFF:05x}"

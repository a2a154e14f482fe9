"""EKS clusters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

from ..engine.errors import Category
from ..engine.fields import attr
from ..engine.resource import Live, Mark, Resource, Scope
from ..engine.values import UNSET, Unset
from .api import Api
from .eks import RULES, WAITS, Update, first_of, name_of, readiness, retag
from .eks_access import (
    CREATOR,
    Access,
    Entries,
    canonical,
    change_entries,
    creator_tag,
    is_made_by_eks,
    link_access,
    read_entries,
)
from .marks import all_tags, is_ours, marks_of, name_prefixes, own_tags
from .shapes import given

LogType = Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]
_NETWORK = {"subnets": "subnetIds", "security_groups": "securityGroupIds"}
_ENDPOINT = {
    "endpoint_public": "endpointPublicAccess",
    "endpoint_private": "endpointPrivateAccess",
    "public_cidrs": "publicAccessCidrs",
}
_LISTS = frozenset({"subnets", "security_groups", "public_cidrs"})


@dataclass(frozen=True, kw_only=True)
class EksCluster(Resource):
    """A cluster's control plane with its access entries, found by the stack at the beginning of its name and its tags;
    an existing one by its name, the last part of its address.

    Its API takes one kind of change at a time, each after the one before is done. Entries that the stack made carry its
    tag; others' are kept, and listed unless EKS made them by itself (the node groups', the creator's). Cost of reading:
    pages of ListClusters + 1 for each whose name begins with the stack's (DescribeCluster) + for each owned the pages
    of ListAccessEntries and 2 an entry (DescribeAccessEntry, ListAssociatedAccessPolicies). Source: these. Actions:
    eks:ListClusters, DescribeCluster, ListAccessEntries, DescribeAccessEntry, ListAssociatedAccessPolicies,
    CreateCluster, UpdateClusterConfig, UpdateClusterVersion, CreateAccessEntry, UpdateAccessEntry, DeleteAccessEntry,
    AssociateAccessPolicy, DisassociateAccessPolicy, TagResource, UntagResource, DeleteCluster; iam:PassRole for its
    role, and iam:CreateServiceLinkedRole once an account.
    """

    kind = "aws.eks_cluster"
    name_limit = 100
    data_at_stake = "every workload in it and their volumes' claims"
    disruption: ClassVar[Mapping[str, str]] = {"version": "rolling upgrade of the control plane"}
    ready_timeout_s = 2400.0
    visible_s = 600.0
    poll_s = (0.2, 10.0)
    outputs: ClassVar[Mapping[str, str]] = {
        "arn": "its ARN",
        "name": "its name",
        "endpoint": "URL of its API server",
        "ca": "certificate authority of its API server, PEM in base64",
        "region": "region it is in",
        "oidc_issuer": "URL of its issuer of service account tokens",
        "security_group": "id of the security group that EKS made for it",
        "version": "Kubernetes version it runs",
    }

    version: str | Unset = attr(
        "Kubernetes version, such as 1.34; upgraded step by step", version_prefix=True, default=UNSET
    )
    role: str = attr("role of the control plane", refers_to="aws.iam_role", output="arn", create_only=True)
    subnets: list[str] = attr(
        "subnets for its interfaces, in two zones at least", refers_to="aws.subnet", unordered=True
    )
    security_groups: list[str] | Unset = attr(
        "further security groups of its interfaces", refers_to="aws.security_group", unordered=True, default=UNSET
    )
    endpoint_public: bool | Unset = attr("its API is reached from the internet", cleared=True, default=UNSET)
    endpoint_private: bool | Unset = attr("its API is reached from inside the network", cleared=False, default=UNSET)
    public_cidrs: list[str] | Unset = attr(
        "blocks that may reach the public endpoint", unordered=True, cleared=("0.0.0.0/0",), default=UNSET
    )
    logging: list[LogType] | Unset = attr(
        "logs of the control plane that go to CloudWatch", unordered=True, cleared=(), default=UNSET
    )
    authentication_mode: Literal["API", "API_AND_CONFIG_MAP", "CONFIG_MAP"] | Unset = attr(
        "where access is looked up; only towards API", default=UNSET
    )
    creator_admin: bool | Unset = attr("whoever creates it becomes administrator", create_only=True, default=UNSET)
    access: list[Access] | Unset = attr(
        "who else gets access", open_set=True, unordered=True, usual=is_made_by_eks, cleared=(), default=UNSET
    )
    service_cidr: str | Unset = attr("IPv4 block of its services", create_only=True, default=UNSET)
    kms_key: str | Unset = attr(
        "ARN of the KMS key that encrypts its secrets", create_only=True, cleared=None, default=UNSET
    )
    support: Literal["STANDARD", "EXTENDED"] | Unset = attr(
        "what happens when its version runs out", cleared="EXTENDED", default=UNSET
    )
    deletion_protection: bool | Unset = attr("EKS itself refuses to delete it", cleared=False, default=UNSET)
    tags: dict[str, str | None] | Unset = attr("tags; null removes one", open_set=True, default=UNSET)

    @classmethod
    def link(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        linked = super().link(values)
        if values.get("access"):
            linked["access"] = [link_access(entry) for entry in values["access"]]
        return linked

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        begins = name_prefixes(scope)
        names = [name for name in api.pages("eks", "ListClusters", "clusters") if name.startswith(begins)]
        found = api.each(lambda name: _described(api, name), names)
        owned = [item for item in found if item is not None and is_ours(item.get("tags", {}), scope)]
        return api.each(lambda item: _live(api, item), owned)

    @classmethod
    def get(cls, api: Api, live_id: str, scope: Scope) -> Live | None:
        item = _described(api, name_of(live_id))
        return _live(api, item) if item else None

    def find(self, api: Api) -> Live | None:
        item = _described(api, self.address.partition("/")[2])
        return _live(api, item) if item else None

    def propose(self, api: Api | None, live: Live | None) -> Mapping[str, Any]:
        values = self.values()
        if values.get("access"):
            values["access"] = [canonical(entry) for entry in values["access"]]
        if live is not None and live.fields["creator_admin"] is None:
            values.pop("creator_admin", None)  # the API does not always tell; it cannot be changed anyway
        return values

    def create(self, api: Api, mark: Mark) -> str:
        network = {**_chosen(self, _NETWORK), **_chosen(self, _ENDPOINT)}
        access = {
            "authenticationMode": given(self.authentication_mode),
            "bootstrapClusterCreatorAdminPermissions": given(self.creator_admin),
        }
        cidr, key, support = given(self.service_cidr), given(self.kms_key), given(self.support)
        types = given(self.logging)
        answer = api.call(
            "eks",
            "CreateCluster",
            name=mark.name,
            version=given(self.version),
            roleArn=self.role,
            resourcesVpcConfig=network,
            kubernetesNetworkConfig={"serviceIpv4Cidr": cidr} if cidr else None,
            logging={"clusterLogging": [{"types": types, "enabled": True}]} if types else None,
            encryptionConfig=[{"resources": ["secrets"], "provider": {"keyArn": key}}] if key else None,
            accessConfig={name: value for name, value in access.items() if value is not None} or None,
            upgradePolicy={"supportType": support} if support else None,
            deletionProtection=given(self.deletion_protection),
            clientRequestToken=mark.token,
            tags=all_tags(mark, self.tags) | creator_tag(api.caller),
            rules=RULES,
        )
        return str(answer["cluster"]["arn"])

    def update(self, api: Api, live: Live, change: Any) -> Iterable[str]:
        retag(api, live, change)
        return first_of(self._updates(api, live, change))

    def _updates(self, api: Api, live: Live, change: Any) -> Iterable[Update]:
        """The updates that `change` takes, in an order in which they can be made."""
        which: dict[str, Any] = {"name": live.outputs["name"], "rules": RULES, "waits": WAITS}
        for fields, setting in _settings(live.fields, change.fields):
            yield fields, partial(api.call, "eks", "UpdateClusterConfig", **which, **setting)
        if "access" in change.fields:  # after the cluster's mode allows for entries
            before, after = change.fields["access"]
            yield {"access"}, partial(change_entries, api, which["name"], live.raw, live.owner, before, after)
        for version in _steps(*change.fields.get("version", ("", ""))):
            yield {"version"}, partial(api.call, "eks", "UpdateClusterVersion", **which, version=version)

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        api.call("eks", "DeleteCluster", name=live.outputs["name"], rules=RULES, waits=WAITS)

    def predict(self, mark: Mark) -> Mapping[str, Any]:
        return {"name": mark.name}

    def problems(self) -> Iterable[str]:
        if given(self.endpoint_public) is False and not given(self.endpoint_private):
            yield "endpoint_public is false, so endpoint_private has to be true: its API could not be reached."
        if given(self.security_groups) == []:
            yield "security_groups cannot be emptied: leave it out, or name one."
        if given(self.access) and given(self.authentication_mode) == "CONFIG_MAP":
            yield "access needs authentication_mode API or API_AND_CONFIG_MAP."


def _chosen(cluster: EksCluster, names: Mapping[str, str]) -> dict[str, Any]:
    values = {theirs: given(getattr(cluster, ours)) for ours, theirs in names.items()}
    return {name: value for name, value in values.items() if value is not None}


def _settings(
    live: Mapping[str, Any], fields: Mapping[str, tuple[Any, Any]]
) -> Iterable[tuple[set[str], dict[str, Any]]]:
    """What UpdateClusterConfig has to be told, one kind of change after the other; those of the network as a whole."""
    for names in (_NETWORK, _ENDPOINT):
        if fields.keys() & names.keys():
            wanted = {**live, **{name: after for name, (_before, after) in fields.items()}}
            network = {theirs: wanted[ours] for ours, theirs in names.items() if wanted[ours] or ours in _ENDPOINT}
            yield fields.keys() & names.keys(), {"resourcesVpcConfig": network}
    if "logging" in fields:
        before, after = (set(side or ()) for side in fields["logging"])
        parts = ((after - before, True), (before - after, False))
        setups = [{"types": sorted(types), "enabled": enabled} for types, enabled in parts if types]
        yield {"logging"}, {"logging": {"clusterLogging": setups}}
    if "authentication_mode" in fields:
        yield {"authentication_mode"}, {"accessConfig": {"authenticationMode": fields["authentication_mode"][1]}}
    if "support" in fields:
        yield {"support"}, {"upgradePolicy": {"supportType": fields["support"][1]}}
    if "deletion_protection" in fields:
        yield {"deletion_protection"}, {"deletionProtection": fields["deletion_protection"][1]}


def _steps(before: str, after: str) -> list[str]:
    """The versions on the way: EKS goes up by one minor version at a time."""
    try:
        (major, low), (_unused, high) = (map(int, version.split(".")[:2]) for version in (before, after))
    except ValueError:
        return [after] if after else []
    return [f"{major}.{minor}" for minor in range(low + 1, high + 1)] or [after]


def _described(api: Api, name: str) -> dict[str, Any] | None:
    return api.call("eks", "DescribeCluster", name=name, rules=RULES, done=Category.ABSENT).get("cluster")


def _live(api: Api, item: dict[str, Any]) -> Live:
    tags, access = item.get("tags", {}), item.get("accessConfig", {})
    stack = marks_of(tags)["owner"]
    creator = "" if access.get("bootstrapClusterCreatorAdminPermissions") is False else tags.get(CREATOR, "")
    has_entries = access.get("authenticationMode", "CONFIG_MAP") != "CONFIG_MAP"
    is_there = item["status"] not in ("CREATING", "DELETING", "FAILED")
    entries = read_entries(api, item["name"], stack, creator) if has_entries and is_there else Entries((), stack)
    return cluster_from_api(item, entries, api.region)


def cluster_from_api(item: dict[str, Any], entries: Entries, region: str) -> Live:
    """A cluster as DescribeCluster shows it, with its access entries. `raw`: principal -> ARN of its entry."""
    tags, network, access = item.get("tags", {}), item["resourcesVpcConfig"], item.get("accessConfig", {})
    outputs = {
        "arn": item["arn"],
        "name": item["name"],
        "endpoint": item.get("endpoint", ""),
        "ca": item.get("certificateAuthority", {}).get("data", ""),
        "region": region,
        "oidc_issuer": item.get("identity", {}).get("oidc", {}).get("issuer", ""),
        "security_group": network.get("clusterSecurityGroupId", ""),
        "version": item["version"],
    }
    keys = [one.get("provider", {}).get("keyArn") for one in item.get("encryptionConfig") or ()]
    fields = {
        "version": item["version"],
        "role": item["roleArn"],
        "subnets": list(network["subnetIds"]),
        "security_groups": list(network.get("securityGroupIds", ())),
        "endpoint_public": network["endpointPublicAccess"],
        "endpoint_private": network["endpointPrivateAccess"],
        "public_cidrs": list(network.get("publicAccessCidrs", ())),
        "logging": _enabled(item),
        "authentication_mode": access.get("authenticationMode", "CONFIG_MAP"),
        "creator_admin": access.get("bootstrapClusterCreatorAdminPermissions"),
        "access": entries.ours,
        "service_cidr": item.get("kubernetesNetworkConfig", {}).get("serviceIpv4Cidr"),
        "kms_key": keys[0] if keys else None,
        "support": item.get("upgradePolicy", {}).get("supportType"),
        "deletion_protection": item.get("deletionProtection", False),
        "tags": own_tags(tags),
    }
    principals = {entry["principal"] for entry in entries.ours}
    return Live(
        id=item["arn"],
        name=item["name"],
        fields=fields,
        foreign={"access": entries.foreign},
        outputs=outputs,
        refs=frozenset({fields["role"], *fields["subnets"], *fields["security_groups"], *principals}),
        readiness=readiness(item),
        raw=entries.arns,
        **marks_of(tags),
    )


def _enabled(item: Mapping[str, Any]) -> list[str]:
    setups = item.get("logging", {}).get("clusterLogging", ())
    return sorted(one for setup in setups if setup.get("enabled") for one in setup.get("types", ()))

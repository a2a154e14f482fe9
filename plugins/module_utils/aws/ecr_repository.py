"""ECR repositories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..engine.errors import Category
from ..engine.fields import attr
from ..engine.resource import Live, Mark, Resource, Scope
from ..engine.values import UNSET, Unset
from .api import Api
from .marks import all_tags, from_pairs, is_ours, marks_of, name_prefixes, own_tags, pairs, tag_changes
from .rules import rules
from .shapes import document, given, policy, policy_text

_RULES = (
    *rules(Category.EXISTS, "RepositoryAlreadyExistsException"),
    *rules(
        Category.ABSENT,
        "RepositoryNotFoundException",
        "LifecyclePolicyNotFoundException",
        "RepositoryPolicyNotFoundException",
    ),
    *rules(Category.RETRY, "ServerException"),
)


@dataclass(frozen=True, kw_only=True)
class EcrRepository(Resource):
    """A repository for images, `<stack>-<name>`, found by that beginning of its name and then by its tags.

    DescribeRepositories shows neither tags nor policies. Cost of reading: pages of DescribeRepositories + 3 for each
    one whose name begins with the stack's (ListTagsForResource, GetLifecyclePolicy, GetRepositoryPolicy). Source:
    these. Actions: ecr:DescribeRepositories, ListTagsForResource, GetLifecyclePolicy, GetRepositoryPolicy,
    CreateRepository, PutImageTagMutability, PutImageScanningConfiguration, PutLifecyclePolicy, DeleteLifecyclePolicy,
    SetRepositoryPolicy, DeleteRepositoryPolicy, TagResource, UntagResource, DeleteRepository.
    """

    kind = "aws.ecr_repository"
    name_seen = True
    name_limit = 256
    data_at_stake = "every image in it"
    outputs: ClassVar[Mapping[str, str]] = {
        "arn": "its ARN",
        "name": "its name",
        "uri": "what images in it are pulled as, without tag or digest",
    }

    immutable_tags: bool | Unset = attr(
        "a tag that is there cannot be moved to another image", cleared=False, default=UNSET
    )
    scan_on_push: bool | Unset = attr(
        "images are scanned for known vulnerabilities when pushed", cleared=False, default=UNSET
    )
    kms_key: str | Unset = attr(
        "ARN of the KMS key; unset: AES-256 of ECR itself", create_only=True, cleared=None, default=UNSET
    )
    lifecycle_policy: dict[str, Any] | str | Unset | None = attr(
        "which images expire; null removes it", normalise=document, cleared=None, default=UNSET
    )
    policy: dict[str, Any] | str | Unset | None = attr(
        "who else may use it; null removes it", normalise=policy, cleared=None, default=UNSET
    )
    tags: dict[str, str | None] | Unset = attr("tags; null removes one", open_set=True, default=UNSET)

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        begins = name_prefixes(scope)
        listed = api.pages("ecr", "DescribeRepositories", "repositories", rules=_RULES)
        candidates = [item for item in listed if item["repositoryName"].startswith(begins)]
        found = api.each(lambda item: _live(api, item, scope), candidates)
        return [live for live in found if live is not None]

    @classmethod
    def get(cls, api: Api, live_id: str, scope: Scope) -> Live | None:
        item = _described(api, live_id.partition(":repository/")[2])
        return _live(api, item, None) if item else None

    def find(self, api: Api) -> Live | None:
        """An existing repository goes by the last part of its address: its whole name."""
        item = _described(api, self.address.partition("/")[2])
        return _live(api, item, None) if item else None

    def create(self, api: Api, mark: Mark) -> str:
        key = given(self.kms_key)
        answer = api.call(
            "ecr",
            "CreateRepository",
            repositoryName=mark.name,
            imageTagMutability=_mutability(given(self.immutable_tags, False)),
            imageScanningConfiguration={"scanOnPush": given(self.scan_on_push, False)},
            encryptionConfiguration={"encryptionType": "KMS", "kmsKey": key} if key else None,
            tags=pairs(all_tags(mark, self.tags)),
            rules=_RULES,
            repeatable=False,
        )
        return str(answer["repository"]["repositoryArn"])

    def update(self, api: Api, live: Live, change: Any) -> None:
        name = live.outputs["name"]
        for field, (_before, after) in change.fields.items():
            if field in _SETTERS:
                operation, params = _SETTERS[field](after)
                api.call("ecr", operation, repositoryName=name, rules=_RULES, done=Category.ABSENT, **params)
        write, remove = tag_changes(change)
        if write:
            api.call("ecr", "TagResource", resourceArn=live.id, tags=pairs(write), rules=_RULES)
        if remove:
            api.call("ecr", "UntagResource", resourceArn=live.id, tagKeys=remove, rules=_RULES)

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        api.call("ecr", "DeleteRepository", repositoryName=live.outputs["name"], force=True, rules=_RULES)

    def predict(self, mark: Mark) -> Mapping[str, Any]:
        return {"name": mark.name}


def _mutability(immutable: bool) -> str:
    return "IMMUTABLE" if immutable else "MUTABLE"


def _set_lifecycle(value: Any) -> tuple[str, dict[str, Any]]:
    if value is None:
        return "DeleteLifecyclePolicy", {}
    return "PutLifecyclePolicy", {"lifecyclePolicyText": policy_text(value)}


def _set_policy(value: Any) -> tuple[str, dict[str, Any]]:
    if value is None:
        return "DeleteRepositoryPolicy", {}
    return "SetRepositoryPolicy", {"policyText": policy_text(value)}


_SETTERS: dict[str, Callable[[Any], tuple[str, dict[str, Any]]]] = {
    "immutable_tags": lambda value: ("PutImageTagMutability", {"imageTagMutability": _mutability(value)}),
    "scan_on_push": lambda value: (
        "PutImageScanningConfiguration",
        {"imageScanningConfiguration": {"scanOnPush": value}},
    ),
    "lifecycle_policy": _set_lifecycle,
    "policy": _set_policy,
}


def _described(api: Api, name: str) -> Mapping[str, Any] | None:
    answer = api.call("ecr", "DescribeRepositories", repositoryNames=[name], rules=_RULES, done=Category.ABSENT)
    return next(iter(answer.get("repositories", ())), None)


def _live(api: Api, item: Mapping[str, Any], scope: Scope | None) -> Live | None:
    """The repository with its tags and policies; None when its tags are not of `scope`'s stacks."""
    options: dict[str, Any] = {"rules": _RULES, "done": Category.ABSENT}
    answer = api.call("ecr", "ListTagsForResource", resourceArn=item["repositoryArn"], **options)
    tags = from_pairs(answer.get("tags"))
    if scope is not None and not is_ours(tags, scope):
        return None
    name = item["repositoryName"]
    lifecycle = api.call("ecr", "GetLifecyclePolicy", repositoryName=name, **options).get("lifecyclePolicyText")
    access = api.call("ecr", "GetRepositoryPolicy", repositoryName=name, **options).get("policyText")
    return repository_from_api(item, tags, lifecycle, access)


def repository_from_api(
    item: Mapping[str, Any], tags: Mapping[str, str], lifecycle: str | None, access: str | None
) -> Live:
    """A repository as DescribeRepositories shows it, with what the other calls add."""
    return Live(
        id=item["repositoryArn"],
        name=item["repositoryName"],
        fields={
            "immutable_tags": item["imageTagMutability"].startswith("IMMUTABLE"),
            "scan_on_push": item.get("imageScanningConfiguration", {}).get("scanOnPush", False),
            "kms_key": item.get("encryptionConfiguration", {}).get("kmsKey"),
            "lifecycle_policy": document(lifecycle) if lifecycle else None,
            "policy": document(access) if access else None,
            "tags": own_tags(tags),
        },
        outputs={"arn": item["repositoryArn"], "name": item["repositoryName"], "uri": item["repositoryUri"]},
        **marks_of(tags),
    )

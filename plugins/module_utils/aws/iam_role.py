"""IAM roles with their policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..engine.errors import Category
from ..engine.fields import attr
from ..engine.resource import Live, Mark, Resource, Scope
from ..engine.values import UNSET, Unset
from .api import Api
from .marks import all_tags, from_pairs, is_ours, marks_of, own_tags, pairs, tag_changes
from .rules import rules
from .shapes import document, given, policy, policy_text

_RULES = (
    *rules(Category.EXISTS, "EntityAlreadyExists"),
    *rules(Category.ABSENT, "NoSuchEntity"),
    *rules(Category.RETRY, "ConcurrentModification", "EntityTemporarilyUnmodifiable"),
    *rules(Category.RETRY, "DeleteConflict", message="concurrent"),
    # A trust policy that names a principal made a moment ago: IAM does not know it everywhere yet.
    *rules(Category.WAIT, "MalformedPolicyDocument", message="invalid principal"),
    *rules(Category.FATAL, "LimitExceeded", remedy="A quota of IAM is used up: ask for a higher one."),
)


@dataclass(frozen=True, kw_only=True)
class IamRole(Resource):
    """A role with its trust policy, inline and managed policies (closed sets), found by its tags.

    ListRoles shows no tags; GetAccountAuthorizationDetails shows them with the policies, but neither description nor
    session length. Policies are compared by meaning, not by spelling. Cost of reading: pages of
    GetAccountAuthorizationDetails + 1 · owned (GetRole). Source: these two. Actions:
    iam:GetAccountAuthorizationDetails, GetRole, ListAttachedRolePolicies, ListRolePolicies, GetRolePolicy, CreateRole,
    UpdateRole, UpdateAssumeRolePolicy, AttachRolePolicy, DetachRolePolicy, PutRolePolicy, DeleteRolePolicy,
    PutRolePermissionsBoundary, DeleteRolePermissionsBoundary, TagRole, UntagRole, ListInstanceProfilesForRole,
    RemoveRoleFromInstanceProfile, DeleteRole; and iam:PassRole where a service gets the role.
    """

    kind = "aws.iam_role"
    name_limit = 64
    outputs: ClassVar[Mapping[str, str]] = {"arn": "its ARN", "name": "its name"}

    assume_policy: dict[str, Any] | str = attr("who may assume it: a policy document", normalise=policy)
    description: str | Unset = attr("what it is for", cleared=None, default=UNSET)
    path: str | Unset = attr("its path, /…/", create_only=True, cleared="/", default=UNSET)
    max_session_s: int | Unset = attr("longest session in seconds, 3600 to 43200", cleared=3600, default=UNSET)
    permissions_boundary: str | Unset | None = attr(
        "ARN of the policy that bounds it; null removes it", cleared=None, default=UNSET
    )
    inline_policies: dict[str, Any] | Unset = attr(
        "policy documents by name: these and no others",
        normalise=lambda value: {name: policy(one) for name, one in (value or {}).items()},
        cleared=None,
        default=UNSET,
    )
    managed_policies: list[str] | Unset = attr(
        "ARNs of attached policies: these and no others", unordered=True, cleared=(), default=UNSET
    )
    tags: dict[str, str | None] | Unset = attr("tags; null removes one", open_set=True, default=UNSET)

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        listed = api.pages("iam", "GetAccountAuthorizationDetails", "RoleDetailList", Filter=["Role"], rules=_RULES)
        owned = [item for item in listed if is_ours(from_pairs(item.get("Tags")), scope)]
        details = api.each(lambda item: _role(api, item["RoleName"]), owned)
        return [role_from_api(one, item) for one, item in zip(details, owned, strict=True) if one]

    @classmethod
    def get(cls, api: Api, live_id: str, scope: Scope) -> Live | None:
        name = live_id.rpartition("/")[2]
        role = _role(api, name)
        return role_from_api(role, _policies(api, name)) if role else None

    def create(self, api: Api, mark: Mark) -> str:
        answer = api.call(
            "iam",
            "CreateRole",
            RoleName=mark.name,
            AssumeRolePolicyDocument=policy_text(self.assume_policy),
            Description=given(self.description),
            Path=given(self.path),
            MaxSessionDuration=given(self.max_session_s),
            PermissionsBoundary=given(self.permissions_boundary),
            Tags=pairs(all_tags(mark, self.tags)),
            rules=_RULES,
            repeatable=False,
        )
        return str(answer["Role"]["Arn"])

    def update(self, api: Api, live: Live, change: Any) -> None:
        name = live.outputs["name"]
        fields: Mapping[str, tuple[Any, Any]] = change.fields
        if "assume_policy" in fields:
            text = policy_text(fields["assume_policy"][1])
            api.call("iam", "UpdateAssumeRolePolicy", RoleName=name, PolicyDocument=text, rules=_RULES)
        if fields.keys() & {"description", "max_session_s"}:  # what UpdateRole is not told, it resets
            wanted = {**live.fields, **{field: after for field, (_before, after) in fields.items()}}
            api.call(
                "iam",
                "UpdateRole",
                RoleName=name,
                Description=wanted["description"] or "",
                MaxSessionDuration=wanted["max_session_s"],
                rules=_RULES,
            )
        if "permissions_boundary" in fields:
            _bound(api, name, fields["permissions_boundary"][1])
        if "managed_policies" in fields:
            _attach(api, name, *fields["managed_policies"])
        if "inline_policies" in fields:
            _put_inline(api, name, *fields["inline_policies"])
        _retag(api, name, change)

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        name = live.outputs["name"]
        _attach(api, name, live.fields["managed_policies"], [])
        _put_inline(api, name, live.fields["inline_policies"], {})
        for profile in api.pages(
            "iam", "ListInstanceProfilesForRole", "InstanceProfiles", RoleName=name, rules=_RULES, done=Category.ABSENT
        ):
            api.call(
                "iam",
                "RemoveRoleFromInstanceProfile",
                InstanceProfileName=profile["InstanceProfileName"],
                RoleName=name,
                rules=_RULES,
                done=Category.ABSENT,
            )
        api.call("iam", "DeleteRole", RoleName=name, rules=_RULES)

    def predict(self, mark: Mark) -> Mapping[str, Any]:
        return {"name": mark.name}

    def problems(self) -> Iterable[str]:
        session = given(self.max_session_s)
        if session is not None and not 3600 <= session <= 43200:
            yield f"max_session_s is {session}; 3600 to 43200 is wanted."
        path = given(self.path)
        if path is not None and not (path.startswith("/") and path.endswith("/")):
            yield f'path is "{path}"; it has to begin and end with a slash.'


def _role(api: Api, name: str) -> Mapping[str, Any]:
    answer = api.call("iam", "GetRole", RoleName=name, rules=_RULES, done=Category.ABSENT)
    found: Mapping[str, Any] = answer.get("Role", {})
    return found


def _policies(api: Api, name: str) -> dict[str, Any]:
    """The policies of one role, in the shape of GetAccountAuthorizationDetails."""
    options: dict[str, Any] = {"RoleName": name, "rules": _RULES, "done": Category.ABSENT}
    inline = []
    for policy_name in api.pages("iam", "ListRolePolicies", "PolicyNames", **options):
        answer = api.call("iam", "GetRolePolicy", PolicyName=policy_name, **options)
        inline.append({"PolicyName": policy_name, "PolicyDocument": answer.get("PolicyDocument", {})})
    attached = list(api.pages("iam", "ListAttachedRolePolicies", "AttachedPolicies", **options))
    return {"RolePolicyList": inline, "AttachedManagedPolicies": attached}


def _bound(api: Api, name: str, boundary: str | None) -> None:
    if boundary:
        api.call("iam", "PutRolePermissionsBoundary", RoleName=name, PermissionsBoundary=boundary, rules=_RULES)
    else:
        api.call("iam", "DeleteRolePermissionsBoundary", RoleName=name, rules=_RULES, done=Category.ABSENT)


def _attach(api: Api, name: str, before: Any, after: Any) -> None:
    """Attaches before it detaches, so that no permission is missing in between."""
    for arn in sorted(set(after or ()) - set(before or ())):
        api.call("iam", "AttachRolePolicy", RoleName=name, PolicyArn=arn, rules=_RULES)
    for arn in sorted(set(before or ()) - set(after or ())):
        api.call("iam", "DetachRolePolicy", RoleName=name, PolicyArn=arn, rules=_RULES, done=Category.ABSENT)


def _put_inline(api: Api, name: str, before: Any, after: Any) -> None:
    old, new = before or {}, after or {}
    for policy_name in sorted(new):
        if policy(old.get(policy_name)) != policy(new[policy_name]):
            text = policy_text(new[policy_name])
            api.call("iam", "PutRolePolicy", RoleName=name, PolicyName=policy_name, PolicyDocument=text, rules=_RULES)
    for policy_name in sorted(old.keys() - new.keys()):
        api.call("iam", "DeleteRolePolicy", RoleName=name, PolicyName=policy_name, rules=_RULES, done=Category.ABSENT)


def _retag(api: Api, name: str, change: Any) -> None:
    write, remove = tag_changes(change)
    if write:
        api.call("iam", "TagRole", RoleName=name, Tags=pairs(write), rules=_RULES)
    if remove:
        api.call("iam", "UntagRole", RoleName=name, TagKeys=remove, rules=_RULES)


def role_from_api(role: Mapping[str, Any], policies: Mapping[str, Any]) -> Live:
    """A role as GetRole shows it, with its policies as GetAccountAuthorizationDetails does."""
    tags = from_pairs(role.get("Tags"))
    return Live(
        id=role["Arn"],
        name=role["RoleName"],
        fields={
            "assume_policy": document(role["AssumeRolePolicyDocument"]),
            "description": role.get("Description", ""),
            "path": role["Path"],
            "max_session_s": role["MaxSessionDuration"],
            "permissions_boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            "inline_policies": {
                one["PolicyName"]: document(one["PolicyDocument"]) for one in policies.get("RolePolicyList", ())
            },
            "managed_policies": sorted(one["PolicyArn"] for one in policies.get("AttachedManagedPolicies", ())),
            "tags": own_tags(tags),
        },
        outputs={"arn": role["Arn"], "name": role["RoleName"]},
        **marks_of(tags),
    )

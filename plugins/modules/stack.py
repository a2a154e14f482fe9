#!/usr/bin/python
# Copyright: Contributors to the capstan project
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Does the work of `stack` on the host that the task is delegated to; elsewhere the action of this name does."""

# ruff: noqa: E402 - documentation comes before imports in ansible's modules
from __future__ import annotations

DOCUMENTATION = r"""
module: stack
short_description: Make a whole environment what its roles describe
version_added: "0.1.0"
description:
  - Renders the descriptions of all roles of a stack, makes one graph of their AWS resources and Kubernetes objects,
    and converges it with one plan and one apply. A second run changes nothing.
  - In check mode it prints the exact plan, also where nothing exists yet, and writes nothing.
  - There is no state file. What a stack owns carries its marks in AWS and Kubernetes, and is read back live.
  - One run at a time holds a stack; a second one stops before any write and names the holder. A run that was killed
    at any point is completed by the next one.
author:
  - capstan maintainers (@capstan)
extends_documentation_fragment:
  - capstan.fullstack.stack
options:
  state:
    description:
      - V(present) converges the stack to its description.
      - V(absent) deletes everything of the stack, and of its platform when O(platform=own). What is protected stays,
        with what it needs, and is listed.
      - V(gathered) returns what is live as a description that V(present) accepts. Nothing is written.
      - V(rendered) returns the description as it was rendered and checked, without calling any API. Of a secret it
        says how it is referred to.
    type: str
    choices: [present, absent, gathered, rendered]
    default: present
  components:
    description:
      - Converge only these components (roles), and what their resources need. An empty list means all.
      - Only what was described completely is pruned, so the rest of the stack is safe.
    type: list
    elements: str
    default: []
  targets:
    description:
      - Converge only the resources with these addresses (C(kind/name)), and what they need. An empty list means all.
      - Nothing is pruned then.
    type: list
    elements: str
    default: []
  prune:
    description:
      - Delete resources of the stack that are no longer described. Without it the plan lists them and they stay.
      - Only components that were completely described in this run are considered. Protected resources refuse.
    type: bool
    default: false
  prune_limit:
    description: How many resources O(prune) may delete in one run without O(expected_digest).
    type: int
    default: 10
  expected_digest:
    description:
      - The RV(digest) of a plan that was approved. The run refuses when its own plan is another one.
      - It also allows more than O(prune_limit) deletes, and deletes of protected resources, that this plan lists.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Converge an environment with its own platform
  capstan.fullstack.stack:
    name: production
    account_id: "123456789012"
    region: us-east-1
    roles:
      - role: network
        scope: platform
      - role: cluster
        scope: platform
      - role: backend

- name: Converge only the backend, on a platform that is shared
  capstan.fullstack.stack:
    name: staging
    platform: shared/production-platform
    account_id: "123456789012"
    region: us-east-1
    roles: "{{ stack_roles }}"
    components: [backend]

- name: Delete what is no longer described, as the approved plan lists it
  capstan.fullstack.stack:
    name: production
    account_id: "123456789012"
    region: us-east-1
    roles: "{{ stack_roles }}"
    prune: true
    expected_digest: "{{ approved_digest }}"
"""

RETURN = r"""
changed:
  description: Was anything written? In check mode, would anything be written?
  type: bool
  returned: always
plan:
  description:
    - What changes, or needs to be known, in the order in which it could be done. Secrets are masked.
    - A failed task returns none of it; RV(plan_path) holds the plan then.
  type: list
  elements: dict
  returned: for present and absent
  contains:
    address:
      description: The resource, C(kind/name).
      type: str
    action:
      description: One of create, adopt, update, replace, delete, none.
      type: str
    fields:
      description: Field to its value before and after. C((known after apply)) stands for what exists only then.
      type: dict
    because:
      description: The fields that force a replacement.
      type: list
      elements: str
    disruption:
      description: What the change brings to a running system.
      type: list
      elements: str
    data_at_stake:
      description: What is destroyed.
      type: str
    kept:
      description: Fields that somebody else moved and that stay as they are.
      type: dict
    foreign:
      description: Entries of open sets that are not the stack's and stay.
      type: dict
    held:
      description: Why a delete is only shown.
      type: str
    refused:
      description: The safeguard that forbids the change.
      type: str
  sample:
    - address: aws.subnet/private-a
      action: create
      fields:
        cidr: {before: null, after: 10.0.1.0/24}
        vpc: {before: null, after: (known after apply)}
plan_path:
  description: The file that holds the whole plan.
  type: str
  returned: when it was written
diff:
  description: What C(--diff) prints, an entry for each resource that changes.
  type: list
  elements: dict
  returned: for present and absent
digest:
  description:
    - Identifies the plan (64 hexadecimal digits). It is the same from any machine as long as description, world and
      version are the same.
  type: str
  returned: for present and absent
summary:
  description: The plan's counts as a sentence.
  type: str
  returned: for present and absent
counts:
  description: How many resources there are of each action.
  type: dict
  returned: for present and absent
outputs:
  description: Address to the outputs of the resource, secrets masked.
  type: dict
  returned: for present and absent
unreadable:
  description: Kinds that could not be read, with the reason. Check mode fails when there are any.
  type: dict
  returned: for present and absent
unplanned:
  description: Addresses that were not planned because they depend on something unreadable.
  type: list
  elements: str
  returned: for present and absent
notices:
  description: What the reader of the plan should know besides.
  type: list
  elements: str
  returned: for present and absent
left:
  description: Addresses that were not attempted, because what they depend on failed or the run was stopped.
  type: list
  elements: str
  returned: for present and absent
stats:
  description: What it took, C(calls), C(writes) and C(retries) as numbers of API calls, C(seconds).
  type: dict
  returned: for present and absent
description:
  description: Address to fields, what is live or what was rendered.
  type: dict
  returned: for gathered and rendered
manifests:
  description:
    - The live Kubernetes objects as manifests, with the fields that the stack's applies own. Secret values are left
      out.
  type: list
  elements: dict
  returned: for gathered
components:
  description: Address to component.
  type: dict
  returned: for rendered
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.stack.settings import STACK_ARGUMENTS


def main() -> None:
    """The module's entry point."""
    argument_spec = {**STACK_ARGUMENTS, "rendered_description": {"type": "path"}}
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True)
    # Only now: what follows needs libraries that ansible's own checks of the arguments can do without.
    from ..module_utils.stack.remote import run_module
    from ..module_utils.stack.run import run_stack

    run_module(module, run_stack)


if __name__ == "__main__":
    main()

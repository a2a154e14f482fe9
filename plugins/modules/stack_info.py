#!/usr/bin/python
# Copyright: Contributors to the capstan project
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Does the work of `stack_info` on the host that the task is delegated to; elsewhere the action of this name does."""

# ruff: noqa: E402 - documentation comes before imports in ansible's modules
from __future__ import annotations

DOCUMENTATION = r"""
module: stack_info
short_description: Tell what is live of a stack
version_added: "0.1.0"
description:
  - Reads the outputs and members of a stack, who holds its lock, and how far it has drifted from its description.
  - Writes nothing and takes no lock.
author:
  - capstan maintainers (@capstan)
extends_documentation_fragment:
  - capstan.fullstack.stack
options:
  gather:
    description:
      - What to tell.
      - V(outputs) and V(members) are of the stacks that the environment owns; V(lock) is of its platform's, too.
      - V(drift) compares what is live with what O(roles) describe. The other three need no roles.
    type: list
    elements: str
    choices: [outputs, drift, members, lock]
    default: [outputs, members, lock]
"""

EXAMPLES = r"""
- name: Look up the address of the database
  capstan.fullstack.stack_info:
    name: production
    account_id: "123456789012"
    region: us-east-1
    gather: [outputs]
  register: production

- name: Has anybody changed something by hand
  capstan.fullstack.stack_info:
    name: production
    account_id: "123456789012"
    region: us-east-1
    roles: "{{ stack_roles }}"
    gather: [drift]
  register: drifted
  failed_when: drifted.drift | length > 0
"""

RETURN = r"""
outputs:
  description: Address to the outputs of the live resource, secrets masked.
  type: dict
  returned: when asked for
members:
  description: The live resources that carry the stack's marks.
  type: list
  elements: dict
  returned: when asked for
  contains:
    address:
      description: The resource, C(kind/name).
      type: str
    id:
      description: What its API knows it by.
      type: str
    stack:
      description: The stack in its marks.
      type: str
    component:
      description: The component in its marks.
      type: str
    protect:
      description: Whether its marks protect it from being deleted.
      type: bool
    readiness:
      description: One of ready, waiting, deleting, failed.
      type: str
lock:
  description:
    - Stack to the newest record of its lock, null when nobody ever held it. C(released) tells whether it is free;
      C(since) and C(until) are seconds since 1970; C(process) says who and where.
  type: dict
  returned: when asked for
drift:
  description: The changes that would make the stack what its roles describe, as M(capstan.fullstack.stack) plans them.
  type: list
  elements: dict
  returned: when asked for
diff:
  description: The same as before and after, an entry for each resource.
  type: list
  elements: dict
  returned: when drift is asked for
digest:
  description: Identifies the plan that would mend the drift.
  type: str
  returned: when drift is asked for
unreadable:
  description: Kinds that could not be read, with the reason. The task fails when there are any.
  type: dict
  returned: when drift is asked for
unplanned:
  description: Addresses that were not compared because they depend on something unreadable.
  type: list
  elements: str
  returned: when drift is asked for
notices:
  description: What the reader should know besides.
  type: list
  elements: str
  returned: when drift is asked for
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.stack.settings import INFO_ARGUMENTS


def main() -> None:
    """The module's entry point."""
    argument_spec = {**INFO_ARGUMENTS, "rendered_description": {"type": "path"}}
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True)
    # Only now: what follows needs libraries that ansible's own checks of the arguments can do without.
    from ..module_utils.stack.remote import run_module
    from ..module_utils.stack.run import run_info

    run_module(module, run_info)


if __name__ == "__main__":
    main()

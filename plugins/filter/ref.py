# Copyright: Contributors to the capstan project
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter `ref`: a value that is known only after apply, in text."""

# ruff: noqa: E402 - documentation comes before imports in ansible's plugins
from __future__ import annotations

DOCUMENTATION = r"""
name: ref
short_description: Refer to an output of another resource of the stack
version_added: "0.1.0"
description:
  - Stands for a value that may exist only once a resource is there, such as the address of a database.
  - Returns an opaque marker. The engine puts the value in its place, after all templates are rendered; until then a
    plan shows C((known after apply)).
  - The marker may stand alone or inside other text. Filters and tests that look at it or change it (C(b64encode),
    C(hash), C(int), C(length), C(if), C(==) …) are reported as an error with file and line.
  - It can be used in the templates of a stack's roles, and in variables that these templates use.
positional: output
options:
  _input:
    description: The address of a resource, C(kind/name).
    type: str
    required: true
  output:
    description: Which of its outputs; see the documentation of its kind.
    type: str
    default: id
  encode:
    description: How the engine encodes the value before it puts it in place.
    type: str
    choices: [none, base64]
    default: none
author:
  - capstan maintainers (@capstan)
"""

EXAMPLES = r"""
- name: A connection address inside a Kubernetes ConfigMap's template
  ansible.builtin.debug:
    msg: "postgresql://{{ 'aws.db_instance/main' | capstan.fullstack.ref('address') }}:5432/app"

- name: The same inside the data of a Secret
  ansible.builtin.debug:
    msg: "{{ 'aws.db_instance/main' | capstan.fullstack.ref('address', encode='base64') }}"
"""

RETURN = r"""
_value:
  description: The marker.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.engine.errors import InvalidDescription
from ..plugin_utils.markers import make_marker


def ref(address: Any, output: Any = "id", encode: Any = "none") -> str:
    """The marker of `address`'s output. Raises AnsibleFilterError."""
    try:
        return make_marker(address, output, encode)
    except InvalidDescription as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What ansible looks for."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"ref": ref}

# Copyright: Contributors to the capstan project
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter `secret_ref`: a secret that is kept elsewhere, in text."""

# ruff: noqa: E402 - documentation comes before imports in ansible's plugins
from __future__ import annotations

DOCUMENTATION = r"""
name: secret_ref
short_description: Use a secret without its value passing through templates
version_added: "0.1.0"
description:
  - Stands for a secret of Secrets Manager, of the controller's environment, or of a (vaulted) variable.
  - Returns an opaque marker. The engine reads the secret and puts it in place after all templates are rendered, so that
    neither templates nor results, plans, diffs and logs ever hold its value, at no verbosity. They show its version.
  - A secret of Secrets Manager is read once in each run, in check mode too, in the account and region of the stack.
  - The marker may stand alone or inside other text, beside markers of P(capstan.fullstack.ref#filter) too. All of that
    text is a secret then. Filters and tests that look at it or change it (C(b64encode), C(hash), C(if) …) are reported
    as an error with file and line.
  - It can be used in the templates of a stack's roles, and in variables that these templates use, such as the roles'
    own password variables. Elsewhere it is the marker, and nobody puts the secret in its place.
  - It fits into any text of a Kubernetes object but its metadata, and into the secret fields of AWS resources.
  - What can be read back (a Kubernetes Secret) is compared in memory. What cannot is changed when the secret's version
    is another one than the version that was noted when it was written.
  - A secret that is not there, not readable, empty, or scheduled for deletion stops the run before anything is
    touched, unless the run is narrowed (components, targets, tags) to leave out every resource that uses it.
positional: source
options:
  _input:
    description: Name of the secret (or its ARN), of the environment variable, or of the variable.
    type: str
    required: true
  source:
    description: Where the secret is kept.
    type: str
    choices: [secretsmanager, env, variable]
    required: true
  key:
    description: Secrets Manager only. Which entry of the JSON mapping in the secret. Empty means the whole text.
    type: str
    default: ""
  version_stage:
    description: Secrets Manager only. The staging label of the version that is used. Empty means C(AWSCURRENT).
    type: str
    default: ""
  version:
    description:
      - Environment and variables only. A name for this value, changed together with it. It tells a run that a secret
        which cannot be read back has to be written again.
    type: str
    default: ""
  encode:
    description: How the engine encodes the value before it puts it in place.
    type: str
    choices: [none, base64]
    default: none
author:
  - capstan maintainers (@capstan)
"""

EXAMPLES = r"""
# In an inventory:
settings_redis_password: "{{ 'production/redis' | capstan.fullstack.secret_ref('secretsmanager', key='password') }}"
settings_database_password: "{{ 'DATABASE_PASSWORD' | capstan.fullstack.secret_ref('env') }}"

# A variable that ansible-vault encrypted, of which the plan shows version 3
settings_session_key: "{{ 'vault_session_key' | capstan.fullstack.secret_ref('variable', version='3') }}"
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
from ..plugin_utils.markers import make_secret_marker


def secret_ref(
    name: Any, source: Any, key: Any = "", version_stage: Any = "", version: Any = "", encode: Any = "none"
) -> str:
    """The marker of a secret. Raises AnsibleFilterError."""
    try:
        return make_secret_marker(name, source, key, version_stage, version, encode)
    except InvalidDescription as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What ansible looks for."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"secret_ref": secret_ref}

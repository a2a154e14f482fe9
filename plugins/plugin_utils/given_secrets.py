"""What `secret_ref`s name on the controller: environment variables and variables, vaulted ones among them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleError
from ansible.template import Templar

from ..module_utils.engine.description import Raw
from ..module_utils.engine.fields import nearest
from ..module_utils.stack.secret_refs import ENVIRONMENT, VARIABLE, Given, GivenSecrets, SecretRef, secret_refs_in
from .template_errors import variable_problem


def given_secrets(raws: Iterable[Raw], templars: Mapping[str, Templar]) -> GivenSecrets:
    """The secrets that the description `raws` uses, or why there is none: a run may not need it.

    `templars`: for each component, with the variables that its role sees.
    """
    wanted = {(raw.component, ref) for raw in raws for ref in secret_refs_in(raw.fields)}
    return {
        (component, ref.source, ref.name): _given(ref, templars[component])
        for component, ref in wanted
        if ref.source in (ENVIRONMENT, VARIABLE)
    }


def _given(ref: SecretRef, templar: Templar) -> Given:
    if ref.source == ENVIRONMENT:
        value = os.environ.get(ref.name)
        if value is not None:
            return Given(value)
        return Given(problem=f"{ref} is not set.{nearest(ref.name, os.environ)}")
    variables = templar.available_variables
    if ref.name not in variables:
        return Given(problem=f"there is no {ref}.{nearest(ref.name, variables)}")
    try:
        found = templar.template(variables[ref.name])
    except AnsibleError as error:
        return Given(problem=variable_problem(error, str(ref)))
    if not isinstance(found, (str, int, float)) or isinstance(found, bool):
        return Given(problem=f"{ref} is not text.")
    return Given(str(found))

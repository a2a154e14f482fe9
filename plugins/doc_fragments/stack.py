# Copyright: Contributors to the capstan project
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options and notes that the modules of stacks share."""

from __future__ import annotations


class ModuleDocFragment:
    """Which stack, where, and how its APIs are reached."""

    DOCUMENTATION = r"""
options:
  name:
    description:
      - Name of the environment's stack. A stack is known by account, region and name, which its resources' marks carry.
      - 2 to 40 lower-case letters, digits and hyphens, the first one a letter.
    type: str
    required: true
  platform:
    description:
      - Where the environment runs.
      - C(own) makes a platform for it alone, the stack C(<name>-platform), converged together with the environment.
      - C(shared/<stack>) uses the platform stack of that name, which belongs to another inventory. It is only read;
        roles with O(roles[].scope=platform) are left out.
    type: str
    default: own
  account_id:
    description:
      - The AWS account, 12 digits in quotes. It is compared with the account of the credentials before anything else
        is called.
    type: str
    required: true
  region:
    description: The AWS region, for example C(us-east-1).
    type: str
    required: true
  locations:
    description:
      - Further places that resources may name in their C(location), by alias.
      - Each has C(region), C(account_id) and C(role_arn) (a role to assume there); what it does not say is taken from
        O(region) and O(account_id).
    type: dict
    default: {}
  cluster:
    description:
      - Address of the cluster that takes the stack's Kubernetes objects. Its endpoint, certificate and tokens come from
        it, so it may be created in the same run.
    type: str
    default: aws.eks_cluster/main
  kubeconfig:
    description:
      - Path of a kubeconfig file on the host that does the work; its current context takes the Kubernetes objects
        instead of O(cluster).
    type: path
  kube_proxy:
    description:
      - URL of a proxy through which the cluster's API is reached, C(http://host:port) or C(socks5h://host:port).
        For clusters with a private endpoint.
    type: str
  roles:
    description:
      - The roles that make up the stack. Each describes one component, in C(templates/resources.yml.j2) and
        C(templates/manifests/*.yaml.j2), with the variables of this host.
      - Their arguments are validated against their C(meta/argument_specs.yml) before anything is touched.
      - An environment needs the roles that it describes; a module that only reads what is live needs none.
    type: list
    elements: dict
    default: []
    suboptions:
      role:
        description:
          - Name of the role. One of this collection by its short name, of another one by its full name
            C(namespace.collection.role), or one beside the playbook.
        type: str
        required: true
      scope:
        description: Whose stack the role's resources belong to, the environment's or its platform's.
        type: str
        choices: [environment, platform]
        default: environment
      enabled:
        description:
          - With V(false) the role describes nothing, so what it described before may be pruned.
          - A role that is not listed at all is not considered; nothing of it is pruned.
        type: bool
        default: true
  progress:
    description:
      - How progress is shown while the task runs. No silence lasts longer than 10 seconds.
      - V(text) prints a line for each resource that is done, V(json) one JSON object a line for each event, V(none)
        nothing. V(auto) is V(json) in a job of AWX and V(text) elsewhere.
      - On another host (C(delegate_to)) nothing can be shown while the task runs.
    type: str
    choices: [auto, text, json, none]
    default: auto
  plan_path:
    description:
      - A file for the whole plan as JSON, on the host that does the work, written with mode 0600.
      - Without it a file is written only when the plan does not fit into the task's result (500 kB), or when the task
        failed; the result names it.
    type: path
  rendered_description:
    description:
      - Set by the action plugin when the work is done on another host, a file there that holds the rendered
        description. It is refused in a playbook.
    type: path
attributes:
  check_mode:
    description: The task can tell what it would change without changing it.
    support: full
  diff_mode:
    description: The task returns what differs, a resource an entry.
    support: full
  async:
    description: The task can run detached. It cannot, because a run that nobody watches would go on holding its lease.
    support: none
  action:
    description: An action plugin does the work in the controller; with C(delegate_to) the module does it there.
    support: full
requirements:
  - botocore
notes:
  - Credentials are those of botocore's own chain (environment, profile, instance role) on the host that does the work;
    C(AWS_ENDPOINT_URL) is honoured.
  - Secrets are named with the filter P(capstan.fullstack.secret_ref#filter). Those of Secrets Manager are read with the
    same credentials (C(secretsmanager:GetSecretValue)), once in each run, in check mode too; environment and variables
    are always the controller's.
  - Runs in the controller, without a connection, unless the task is delegated to another host.
  - C(--tags) and C(--skip-tags) name components (roles) here when the task itself is tagged C(always); they narrow the
    run and never widen what is pruned.
"""

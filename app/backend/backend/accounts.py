"""``python -m backend.accounts``: the first administrator, and who forgot a password. For operators, in the container.

    python -m backend.accounts role ada@example.com admin
    python -m backend.accounts password ada@example.com < file     (the password, one line)
    python -m backend.accounts encrypt [--check]                   (what is stored otherwise than PII_KEYS say)

Exit status 1 where there is no such user or account, or something is left to encrypt; 2 where it was told wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing

from backend.cache.caches import Caches
from backend.cache.link import Link, wire_to
from backend.cache.sessions import SESSIONS
from backend.config import Settings
from backend.entities import ROLES, Origin
from backend.environment import ConfigError, settings_from_env
from backend.errors import Busy, DatabaseUnavailable, FieldError
from backend.observability.instruments import Instruments
from backend.observability.logs import configure
from backend.repository.accounts import AccountRepository
from backend.repository.notices import Notices
from backend.repository.personal import seal_all, unsealed
from backend.repository.pool import Pool
from backend.sealing import CannotOpen, sealer_of
from backend.service.passwords import Passwords
from backend.service.sessions import Sessions
from backend.web.auth import NEW_PASSWORD


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m backend.accounts", description="Accounts of users.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    role = commands.add_parser("role", help="give a role")
    role.add_argument("email")
    role.add_argument("role", choices=ROLES)
    password = commands.add_parser("password", help="set the password, which comes on standard input; all logins end")
    password.add_argument("email")
    encrypt = commands.add_parser("encrypt", help="encrypt names and addresses with the newest key of PII_KEYS")
    encrypt.add_argument("--check", action="store_true", help="only say how many users are left")
    return parser.parse_args(argv)


def _encrypt(settings: Settings, *, check: bool) -> str:
    """Encrypts all users, or only counts those that are left; what is wrong, "" where nothing is."""
    sealer = sealer_of(settings.pii_keys)
    if not sealer.prefix:
        return "PII_KEYS has no key that seals by now."
    with closing(Pool(settings.database)) as pool:
        if check:
            left = unsealed(pool, sealer)
            return f"{left} users are left to encrypt." if left else ""
        refused = seal_all(pool, sealer)
    named = ", ".join(map(str, refused))
    return f"The users {named} have an address that another user has, too: change or delete one." if refused else ""


def _run(arguments: argparse.Namespace, settings: Settings) -> str:
    """Does it; what is wrong, "" where nothing is."""
    if arguments.command == "encrypt":
        return _encrypt(settings, check=arguments.check)
    errors: list[FieldError] = []
    password = ""
    if arguments.command == "password":
        password = NEW_PASSWORD.parse("password", sys.stdin.readline().rstrip("\n"), errors)
    if errors:
        return errors[0].message
    instruments = Instruments()
    link = Link(wire_to(settings.redis)) if settings.redis else None
    with closing(Pool(settings.database)) as pool:
        accounts = AccountRepository(pool, instruments.invocations, sealer=sealer_of(settings.pii_keys))
        user_id = accounts.id_of(arguments.email)
        if user_id is None:
            return f"There is no user {arguments.email}."
        if arguments.command == "role":
            version = accounts.set_role(user_id, arguments.role, Origin())
        else:
            hashed = Passwords(instruments.password_hashed).hash(password)
            version = accounts.set_password(user_id, hashed, Origin())
        if version is None:
            return f"{arguments.email} has no account yet: set a password first."
        caches = Caches(link, 0, instruments, Notices(settings.database, pool).tell)
        Sessions(accounts, caches.of(SESSIONS)).changed(user_id, version)
    if link is not None and not link.is_open():
        return (
            "Done, but Redis does not answer. Services at work were told by the database; where none is, tokens from"
            " before may hold for half an hour: then run this again."
        )
    return ""


def main(argv: Sequence[str]) -> int:
    """Runs one command."""
    arguments = _arguments(argv)
    try:
        settings = settings_from_env(os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    configure(settings.log_level, settings.secrets())
    try:
        wrong = _run(arguments, settings)
    except (DatabaseUnavailable, Busy, CannotOpen) as error:
        wrong = str(error)
    print(wrong or "Done.", file=sys.stderr if wrong else sys.stdout)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Secrets of scopes, from the environment: `{{secrets/scope/key}}` and `dbutils.secrets.get`."""

import os
import re
from collections.abc import Mapping

PREFIX = "SECRET_"
REFERENCE = re.compile(r"\{\{\s*secrets/([^/}\s]+)/([^/}\s]+)\s*\}\}")


class SecretError(Exception):
    """A secret is not in the environment; the message says how to set it."""


def secret(scope: str, key: str) -> str:
    """The secret, from the variable SECRET_<SCOPE>_<KEY>.

    Raises:
        SecretError: there is no such variable.
    """
    name = variable(scope, key)
    if name not in os.environ:
        raise SecretError(f"secret {scope}/{key} is not set; put it into the variable {name}")
    return os.environ[name]


def variable(scope: str, key: str) -> str:
    """The name of the variable that holds a secret."""
    return PREFIX + re.sub(r"\W", "_", f"{scope}_{key}").upper()


def environment_with_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables with every reference to a secret replaced by it."""
    return {
        name: REFERENCE.sub(lambda found: secret(found[1], found[2]), text)
        for name, text in environment.items()
    }

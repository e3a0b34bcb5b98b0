"""What looks like a secret in a text that is committed: by its name or its shape."""

import re

_NAMED = re.compile(
    r"(password|passwd|secret|token|api_?key|access[._-]?key|secret[._-]?key|private_?key|"
    r"account[._-]?key|credential|pepper)s?$",
    re.I,
)
# AWS access keys, Databricks, GitHub and Slack tokens, private keys, our API keys, and a password
# in a URI.
_SHAPED = re.compile(
    r"\b(AKIA[0-9A-Z]{16}|dapi[0-9a-f]{32}|gh[pousr]_[A-Za-z0-9]{36}|xox[abprs]-[0-9A-Za-z-]{20,}|"
    r"lh_[A-Za-z0-9_-]{43})\b|-----BEGIN [A-Z ]*PRIVATE|://[^/\s:@]*:[^/\s@$]+@"
)
_REFERS = re.compile(r"\$\{|\{\{")


def is_secret(name: str, text: str) -> bool:
    """Whether a text holds a secret rather than a reference such as `{{secrets/scope/key}}`.

    Args:
        name: the key that it stands under.
    """
    named = _NAMED.search(name) and text and not _REFERS.search(text)
    return bool(named or _SHAPED.search(text))

"""Take secrets out of what is recorded: command lines, URLs, messages.

One rule holds everywhere: where a text may hold a secret and may not, it is taken out.
What follows a telling name (``--db-password X``, ``HF_TOKEN=X``, ``"apiKey": "X"``, ``Authorization: Bearer X``),
the user part of a URL, and words of a well-known shape (an AWS key id, a GitHub token) become ``***``.
A secret that looks like any other word, under a name that says nothing, cannot be told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

REDACTED: Final = "***"

# A name that holds one of these, whatever joins its words, names a secret.
_SECRET_WORDS: Final = re.compile(
    "passw|passphrase|passcode|secret|credential|bearer|authorization|connectionstring"
    "|(?:api|access|private|account|encryption|signing|shared|auth)key|(?:auth|access|api|refresh|session|sas)tokens?"
)
# A name that ends in one of these does too.
_SECRET_ENDINGS: Final = frozenset({"token", "pwd", "pass", "auth", "cookie", "pat", "dsn"})
# pad_token and its kin are vocabulary, not keys.
_VOCABULARY: Final = frozenset(
    {"pad", "eos", "bos", "unk", "mask", "sep", "cls", "special", "start", "end", "stop", "image", "prefix", "suffix"}
)
# --use-auth-token is a switch: what follows it is its value only if it does not look like the next flag.
_SWITCHES: Final = frozenset({"use", "no", "with", "without", "enable", "disable", "is", "has", "skip", "allow"})
# Names that are secret in the query of a URL alone.
_QUERY_NAMES: Final = frozenset({"sig", "signature", "key", "code", "jwt"})

_NAME_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_SHAPES: Final = re.compile(
    r"""
      -----BEGIN[ A-Z0-9]*PRIVATE[ ]KEY-----.*?(?:-----END[ A-Z0-9]*PRIVATE[ ]KEY-----|\Z)
    | \b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b                       # AWS key id
    | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_\w{20,}           # GitHub
    | \bglpat-[\w-]{20,}                                            # GitLab
    | \bhf_[A-Za-z0-9]{20,}                                         # Hugging Face
    | \bsk-[\w-]{20,}                                               # OpenAI, Anthropic and others
    | \bxox[abeoprs]-[\w-]{10,}                                     # Slack
    | \bAIza[\w-]{35}                                               # Google
    | \bdapi[0-9a-f]{32}\b                                          # Databricks
    | \bpypi-[\w-]{40,} | \bnpm_[A-Za-z0-9]{30,}                    # package registries
    | \beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*                             # JSON web token
    | (?<=\bBearer[ ])[^\s"',]+
    """,
    re.VERBOSE | re.DOTALL,
)
_URL: Final = re.compile(r"(?<![\w+.\-])[A-Za-z][\w+.\-]*://\S+")
# scheme://user:password@, where the password may hold what should have been quoted; or scheme://user@.
_USER_INFO: Final = re.compile(r"^(?P<scheme>[\w+.\-]+)://(?:[^/?#@:]*:\S*@|(?P<user>[^/?#]*)@)")
_QUERY_VALUE: Final = re.compile(r"(?<=[?&;#])(?P<name>[^=&;#\s]+)=(?P<value>[^&;#\s]*)")

# name=, name:, "name": , name: str = , and --name as a shell or a list of words shows it; the value comes after.
_NAMED: Final = re.compile(
    r"""
    (?<![\w.-]) (?:
        -{0,2} (?P<name>[A-Za-z_][\w.\-]*) \\?["']? \s* (?: : \s* [A-Za-z][\w.\[\]|\x20]* = (?!=) | := | => | [:=] ) \s*
      | --? (?P<flag>[A-Za-z][\w.\-]+) ["']?,?\s+
    )
    """,
    re.VERBOSE,
)
_VALUE: Final = re.compile(
    r"""\\?"(?:\\.|[^"\\])*"? | \\?'(?:\\.|[^'\\])*'? | (?:Bearer|Basic|Token|Digest)\s+\S+ | \S+""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
# What redact_url has done needs no second pass, which would take the rest of the query along.
_REDACTED_IN_QUERY: Final = re.compile(re.escape(REDACTED) + "[&;#]")
# A whole argument that begins with a telling name: everything after the sign is the value, blanks and all.
_ARGUMENT: Final = re.compile(r"""(?<![\w.\-])(?P<name>[\w.\-]+)\s*[=:](?!//)""")


def redact_arguments(arguments: Sequence[str]) -> list[str]:
    """Return a command line without its secrets.

    Args:
        arguments: The words of the command, as in ``sys.argv``.

    Returns:
        As many words; a secret, or the part of a word that is one, is ``***``.
    """
    redacted: list[str] = []
    flag = ""
    for argument in arguments:
        if flag and not (_is_switch(flag) and argument.startswith("-")):
            redacted.append(REDACTED)
            flag = ""
            continue
        redacted.append(_redact_argument(argument))
        flag = argument if argument.startswith("-") and "=" not in argument and _is_secret(argument) else ""
    return redacted


def redact_url(url: str) -> str:
    """Return a URL without its user part and without the secrets in its query.

    A lone user of SSH (``ssh://git@host``) is no secret and stays.
    """
    url = _USER_INFO.sub(_redact_user_info, url)
    return _SHAPES.sub(REDACTED, _QUERY_VALUE.sub(_redact_query_value, url))


def redact_text(text: str) -> str:
    """Return a message, such as an exception's, without the secrets that it quotes."""
    text = _URL.sub(lambda match: redact_url(match.group()), text)
    text = _redact_named_values(text)
    return _SHAPES.sub(REDACTED, text)


def _is_secret(name: str) -> bool:
    parts = [part.lower() for part in _NAME_PARTS.findall(name)]
    if not parts:
        return False
    if _SECRET_WORDS.search("".join(parts)):
        return True
    return parts[-1] in _SECRET_ENDINGS and not (len(parts) > 1 and parts[-2] in _VOCABULARY)


def _is_switch(name: str) -> bool:
    part = _NAME_PARTS.search(name)
    return part is not None and part.group().lower() in _SWITCHES


def _redact_argument(argument: str) -> str:
    # A name inside quotes, braces or prose is a part of a text, not the name of the whole argument.
    head = re.split(r"[\s\"'{\[?&]|://", argument, maxsplit=1)[0]
    for match in _ARGUMENT.finditer(argument):
        if match.start() >= len(head):
            break
        if _is_secret(match["name"]):
            return argument[: match.end()] + REDACTED
    return redact_text(argument)


def _redact_user_info(match: re.Match[str]) -> str:
    scheme, user = match["scheme"], match["user"]
    if user is not None and scheme.lower().endswith(("ssh", "sftp")):
        return match.group()
    return f"{scheme}://{REDACTED}@"


def _redact_query_value(match: re.Match[str]) -> str:
    name = match["name"]
    parts = _NAME_PARTS.findall(name)
    if _is_secret(name) or (parts and parts[-1].lower() in _QUERY_NAMES):
        return f"{name}={REDACTED}"
    return match.group()


def _redact_named_values(text: str) -> str:
    kept: list[str] = []
    end = position = 0
    while match := _NAMED.search(text, position):
        # Only the name is passed over: in "call: password=x" the next one begins within this match.
        position = match.end(match.lastgroup or 0)
        if not _is_secret(match["name"] or match["flag"]) or _REDACTED_IN_QUERY.match(text, match.end()):
            continue
        if value := _VALUE.match(text, match.end()):
            kept += text[end : match.end()], REDACTED
            end = position = value.end()
    return "".join(kept) + text[end:]

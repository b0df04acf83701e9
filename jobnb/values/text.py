"""Text that jsonb takes: no NUL, no lone surrogates."""

from __future__ import annotations

import base64

NUL_WARNING = "NUL characters were replaced by U+FFFD"
SURROGATE_WARNING = "lone surrogates were replaced by U+FFFD"


def is_clean(text: str) -> bool:
    """True if jsonb takes this text as it is."""
    if "\x00" in text:
        return False
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def clean(text: str) -> tuple[str, list[str]]:
    """Give the text that jsonb takes, and a warning for each kind of change.

    Two surrogates that make a pair become their character; a lone one becomes U+FFFD, as does NUL.
    """
    warnings = []
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
        warnings.append(NUL_WARNING)
    if not is_clean(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        warnings.append(SURROGATE_WARNING)
    return text, warnings


def pack(text: str) -> str:
    """Base64 of any text at all, NUL and surrogates included; two of those that make a pair stay two."""
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


def unpack(packed: str) -> str:
    """Undo `pack`.

    Raises:
        ValueError: the text is not one that `pack` made.
    """
    return base64.b64decode(packed, validate=True).decode("utf-8", "surrogatepass")

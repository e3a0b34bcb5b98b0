"""Reasons in words."""

WORDS = {
    "again": "you bought it before",
    "like": "goes with what you buy",
    "region": "many in your region buy it",
    "new": "new in the shop",
    "popular": "many customers buy it",
}
LIKE = "goes with "
AGAIN_EVERY = "you buy it about every %s days"


def in_words(reason: str, because: str | None) -> str:
    """A reason as a shopper reads it.

    Args:
        because: the title of the item that a `like` names, the days of an `again`.
    """
    if reason == "like" and because:
        return LIKE + because
    if reason == "again" and because:
        return AGAIN_EVERY % because
    return WORDS[reason]

"""What a request may ask with, and what it is told otherwise."""

from typing import Annotated

from fastapi import Path, Query

ID_PATTERN = r"^[A-Za-z0-9._:-]{1,128}$"
CONTROL = r"\x00-\x1f\x7f-\x9f"  # not \p{Cc}, which few readers of OpenAPI documents know
MAX_LIMIT = 100
MAX_ROWS = 1000
MAX_QUERY = 256
MAX_CENTS = 10**12

# `:path` lets an empty id or one with a slash reach validation, which names what is wrong.
CUSTOMER, ITEM = "{customer_id:path}", "{item_id:path}"
ID_RULE = "1 to 128 of A-Z a-z 0-9 . _ : -"
CustomerId = Annotated[str, Path(pattern=ID_PATTERN, description=ID_RULE)]
ItemId = Annotated[str, Path(pattern=ID_PATTERN, description=ID_RULE)]
ForCustomer = Annotated[
    str, Query(pattern=r"^$|" + ID_PATTERN, description="for whom; empty: nobody in particular")
]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="how many, at most")]
Region = Annotated[str, Query(pattern=r"^$|^\*$|" + ID_PATTERN, description="empty: all")]
Visit = Annotated[str, Query(pattern=rf"^[^{CONTROL}]{{0,128}}$", description="the visit; or none")]
# Categories are shop words ("FRZN FRUITS/VEG"); "|" parts the key and control characters lie.
Category = Annotated[str, Query(pattern=rf"^[^|{CONTROL}]{{0,128}}$", description="empty: all")]
MAX_SESSION = 50
_ITEMS = Query(max_length=MAX_SESSION, description="item ids of this session, repeat the name")
Session = Annotated[list[Annotated[str, Query(pattern=ID_PATTERN)]], _ITEMS]
PerCategory = Annotated[int, Query(ge=0, le=MAX_LIMIT, description="of one category; 0: any")]
Cents = Annotated[int, Query(ge=0, le=MAX_CENTS, description="minor units of the currency")]

PRICE_RULE = f"a price must be a whole number of minor units from 0 to {MAX_CENTS}"

INVALID = {
    "customer_id": ("INVALID_ID", f"customer_id must be {ID_RULE}"),
    "item_id": ("INVALID_ID", f"item_id must be {ID_RULE}"),
    "k": ("INVALID_LIMIT", f"k must be a whole number from 1 to {MAX_LIMIT}"),
    "limit": ("INVALID_LIMIT", f"limit must be a whole number from 1 to {MAX_ROWS}"),
    "view": ("INVALID_VIEW", "a view's name is lower-case words; /v1/views lists them"),
    "bought": ("INVALID_SESSION", f"bought: at most {MAX_SESSION} item ids of {ID_RULE}"),
    "viewed": ("INVALID_SESSION", f"viewed: at most {MAX_SESSION} item ids of {ID_RULE}"),
    "per_category": ("INVALID_LIMIT", f"per_category must be from 0 to {MAX_LIMIT}"),
    "session_id": ("INVALID_ID", "session_id must be at most 128 printable characters"),
    "region": ("INVALID_REGION", f"region must be {ID_RULE}"),
    "q": ("INVALID_QUERY", f"q must be at most {MAX_QUERY} characters"),
    "hours": ("INVALID_HOURS", "hours must be a whole number from 1 to 168"),
    "currency": ("INVALID_CURRENCY", "currency must be three capital letters"),
    "table": (
        "INVALID_TABLE",
        "table must be the name of a table: silver.clicks_quarantine",
    ),
    "reason": ("INVALID_REASON", "reason must be a code: at most 64 of a-z 0-9 _"),
    "panel": ("INVALID_PANEL", "there is no such panel; /docs lists them"),
    "brand": ("INVALID_BRAND", "brand must be at most 128 printable characters"),
    "min_price_cents": ("INVALID_PRICE", PRICE_RULE),
    "max_price_cents": ("INVALID_PRICE", PRICE_RULE),
    "category": ("INVALID_CATEGORY", "category must be at most 128 printable characters, no |"),
}

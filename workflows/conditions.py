"""A condition's outcome, by the documented rules of its operators."""

from decimal import Decimal, InvalidOperation

OPERATORS = (
    *("EQUAL_TO", "NOT_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN"),
    "LESS_THAN_OR_EQUAL",
)


class OperandError(Exception):
    """An operand is no number where one is needed."""


def outcome(op: str, left: str, right: str) -> bool:
    """Equality compares texts, so 12.0 is not 12; the others compare numbers, so it is not less.

    Raises:
        OperandError: an operand of a comparison of numbers is none.
    """
    if op == "EQUAL_TO":
        return left == right
    if op == "NOT_EQUAL":
        return left != right
    one, other = _number(left), _number(right)
    return {
        "GREATER_THAN": one > other,
        "GREATER_THAN_OR_EQUAL": one >= other,
        "LESS_THAN": one < other,
        "LESS_THAN_OR_EQUAL": one <= other,
    }[op]


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise OperandError(f"'{text}' is not a number; use EQUAL_TO or NOT_EQUAL") from None

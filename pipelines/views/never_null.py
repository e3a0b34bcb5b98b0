"""Which expressions have a value in every row, as far as that is plain to see."""

from collections.abc import Callable
from typing import cast

from sqlglot import exp

from pipelines.views.algebra import body_of, inputs, mention_number, output_expressions

NotNull = Callable[[int, str], bool]


def is_never_null(node: exp.Expr, select: exp.Select, not_null: NotNull) -> bool:
    """Whether an expression has a value in every row; False if that is not plain to see."""
    if isinstance(node, exp.Literal):
        return True
    if isinstance(node, exp.Column):
        return _is_column_never_null(node, select, not_null)
    if isinstance(node, exp.Coalesce):
        parts = [node.this, *node.expressions]
        return any(is_never_null(part, select, not_null) for part in parts)
    if isinstance(node, (exp.Neg, exp.Paren, exp.Add, exp.Sub, exp.Mul)):
        return all(is_never_null(n, select, not_null) for n in node.iter_expressions())
    return False


def _is_column_never_null(column: exp.Column, select: exp.Select, not_null: NotNull) -> bool:
    part = next((p for p in inputs(select) if p.alias == column.table), None)
    if part is None or part.kind == "left":
        return False
    if isinstance(part.node, exp.Table):
        return not_null(mention_number(part.node), column.name)
    return _is_output_never_null(body_of(part.node), column.name, not_null)


def _is_output_never_null(query: exp.Query, name: str, not_null: NotNull) -> bool:
    if isinstance(query, exp.Subquery):
        return _is_output_never_null(body_of(query), name, not_null)
    if isinstance(query, exp.Union):
        place = query.named_selects.index(name)
        return all(
            _is_output_never_null(branch, branch.named_selects[place], not_null)
            for branch in (query.this, query.expression)
        )
    select = cast(exp.Select, query)
    return is_never_null(dict(output_expressions(select))[name], select, not_null)

"""One SELECT of which one input changes: what is known of the rows that it changes."""

from sqlglot import exp

from pipelines.views.algebra import (
    Input,
    all_of,
    columns_of,
    conjuncts,
    group_keys,
    is_made_of,
    output_expressions,
    text,
    unwrapped,
    windows,
)


class Scope:
    """One SELECT of which one input changes.

    Args:
        place: of the changed input among the inputs.
        known: its columns that are known; None if all are.
    """

    def __init__(
        self, select: exp.Select, parts: list[Input], place: int, known: set[str] | None
    ) -> None:
        self.select, self.parts, self.place, self.known = select, parts, place, known
        self.changed = parts[place]
        # Rows that lose or gain their match change too, and these do not show its columns.
        self.is_hidden = self.changed.kind in ("left", "semi", "anti")
        self.equal = self._equalities()

    def known_outputs(self) -> list[tuple[str, exp.Expr]]:
        """The output columns that hold one value in all rows that a changed row alters."""
        outputs = output_expressions(self.select)
        grouped = group_keys(self.select)
        if grouped is not None:
            alike = {text(key) for key in grouped}
            outputs = [(name, e) for name, e in outputs if is_made_of(e, alike)]
        for window in windows(self.select):
            alike = {text(key) for key in window.args.get("partition_by") or ()}
            outputs = [(name, e) for name, e in outputs if is_made_of(e, alike)]
        if self.is_hidden:
            outputs = [(name, e) for name, e in outputs if self.changed.alias not in _aliases(e)]
        traced = [(name, self._traced(e)) for name, e in outputs]
        return [(name, e) for name, e in traced if self._is_known(e)]

    def query(self, wanted: list[tuple[str, exp.Expr]], node: exp.Expr) -> exp.Select:
        """The values of `wanted` in the changed rows, joined with what these need."""
        needed = self._needed([e for _, e in wanted])
        select = exp.select(*(e.copy().as_(name) for name, e in wanted)).from_(node)
        where = list(conjuncts(self._where()))
        for number, part in enumerate(self.parts):
            if number == self.place:
                where += part.on  # from here on this is where the others are matched
            elif number in needed:
                select = self._joined(select, part)
                where += part.on if part.kind == "inner" else ()
        shown = {self.changed.alias, *(self.parts[n].alias for n in needed)}
        # A condition that cannot be decided here is left out: more keys do no harm.
        decided = [c for c in where if self._is_known(c, shown)]
        condition = all_of(decided)
        return select.where(condition) if condition is not None else select

    def _joined(self, select: exp.Select, part: Input) -> exp.Select:
        if part.kind == "left":
            return select.join(part.node.copy(), on=all_of(part.on), join_type="left")
        return select.join(part.node.copy(), join_type="cross")

    def _needed(self, expressions: list[exp.Expr]) -> set[int]:
        """The other inputs whose columns the keys are made of."""
        aliases = {c.table for e in expressions for c in e.find_all(exp.Column)}
        needed = {n for n, p in enumerate(self.parts) if p.alias in aliases and n != self.place}
        while True:
            lefts = [self.parts[n] for n in needed if self.parts[n].kind == "left"]
            aliases = {c.table for p in lefts for e in p.on for c in e.find_all(exp.Column)}
            more = {n for n, p in enumerate(self.parts) if p.alias in aliases and n != self.place}
            if more <= needed:
                return needed
            needed |= more

    def _is_known(self, expression: exp.Expr, shown: set[str] | None = None) -> bool:
        for column in expression.find_all(exp.Column):
            if shown is not None and column.table not in shown:
                return False
            if column.table == self.changed.alias:
                if self.known is not None and column.name not in self.known:
                    return False
            elif not self._is_at_hand(column.table):
                return False
        return True

    def _is_at_hand(self, alias: str) -> bool:
        """Whether another input can be joined to the changed rows as the SELECT joins it."""
        number = next((n for n, p in enumerate(self.parts) if p.alias == alias), None)
        if number is None or self.parts[number].kind in ("semi", "anti"):
            return False
        part = self.parts[number]
        if self.is_hidden and any(self.changed.alias in _aliases(c) for c in part.on):
            return False
        if part.kind != "left":
            return True
        return all(self._is_decided(c) for c in part.on)

    def _is_decided(self, condition: exp.Expr) -> bool:
        """Whether a left join's condition can be decided on what is known of the changed rows."""
        for column in condition.find_all(exp.Column):
            is_changed = column.table == self.changed.alias
            if is_changed and self.known is not None and column.name not in self.known:
                return False
        return True

    def _has(self, column: exp.Column) -> bool:
        return self.known is None or column.name in self.known

    def _where(self) -> exp.Expr | None:
        where = self.select.args.get("where")
        if where is None:
            return None
        if not self.is_hidden:
            return unwrapped(where)
        # Rows without a match show nulls there, which these conditions would judge otherwise.
        kept = [c for c in conjuncts(where.this) if self.changed.alias not in _aliases(c)]
        return all_of(kept)

    def _equalities(self) -> dict[str, exp.Column]:
        """Columns of other inputs -> known columns of the changed one that they are equal to."""
        conditions = list(conjuncts(self._where()))
        for number, part in enumerate(self.parts):
            if number == self.place or (part.kind == "inner" and not self.is_hidden):
                conditions += part.on
        found: dict[str, exp.Column] = {}
        for condition in conditions:
            if not isinstance(condition, exp.EQ):
                continue
            for ours, other in (
                (condition.this, condition.expression), (condition.expression, condition.this),
            ):  # fmt: skip
                both = isinstance(ours, exp.Column) and isinstance(other, exp.Column)
                if both and ours.table == self.changed.alias != other.table and self._has(ours):
                    found[text(other)] = ours
        return found

    def _traced(self, expression: exp.Expr) -> exp.Expr:
        """The expression over columns of the changed input, wherever these are equal."""
        if not self.equal or not columns_of(expression) & self.equal.keys():
            return expression
        copy = exp.Paren(this=expression.copy())
        for column in list(copy.find_all(exp.Column)):
            if text(column) in self.equal:
                column.replace(self.equal[text(column)].copy())
        return unwrapped(copy)


def _aliases(expression: exp.Expr) -> set[str]:
    return {column.table for column in expression.find_all(exp.Column)}

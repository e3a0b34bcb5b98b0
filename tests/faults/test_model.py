"""The protocol survives a crash at any step; without any one of its rules it does not."""

from dataclasses import fields, replace

import pytest
from model import GUARDED, Protocol, explore


def test_no_state_that_can_be_reached_loses_or_repeats_anything() -> None:
    found = explore(Protocol())
    assert not found.said, " -> ".join(found.path)
    assert found.states > 10_000


@pytest.mark.parametrize("rule", [field.name for field in fields(Protocol)])
def test_without_any_one_rule_something_goes_wrong(rule: str) -> None:
    off = {rule, GUARDED.get(rule, rule)}
    found = explore(replace(Protocol(), **dict.fromkeys(off, False)))
    assert found.said
    assert found.path

import gzip
import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import MappingError
from pipelines.sources.mapping import Mapping, fingerprint, load_mapping, mapped_events

MAPPINGS = Path(__file__).parents[3] / "conf" / "mappings"
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
LINE = "536365,85123A,WHITE HOLDER,6,12/1/2010 8:26,2.55,17850,United Kingdom"
PURCHASE = {
    "event_type": "purchase",
    "fields": {
        "occurred_at": {"column": "at"},
        "item_id": {"column": "item"},
        "quantity": {"column": "n"},
        "price_cents": {"column": "price", "unit": "major"},
    },
}


def mapping(*events: dict[str, Any], **options: Any) -> Mapping:
    return Mapping.model_validate({"events": list(events or (PURCHASE,)), **options})


def produced(file: Path, how: Mapping) -> list[dict[str, Any]]:
    return [json.loads(payload) for _, payload in mapped_events(file, how)]


def written(folder: Path, text: str, name: str = "rows.csv") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_an_invoice_line_is_a_purchase_and_an_item(tmp_path: Path) -> None:
    file = written(tmp_path, f"{HEADER}\n{LINE}\n{LINE}\n")
    purchase, item, again = produced(file, load_mapping(MAPPINGS / "invoices.yml"))
    assert purchase | {"event_id": ""} == {
        "event_id": "",
        "event_type": "purchase",
        "occurred_at": "2010-12-01T08:26:00Z",
        "item_id": "85123A",
        "customer_id": "17850",
        "basket_id": "536365",
        "region": "United Kingdom",
        "quantity": 6,
        "price_cents": 255,
        "currency": "GBP",
        "attributes": {"Description": "WHITE HOLDER"},
    }
    assert (item["event_type"], item["title"]) == ("item_upsert", "WHITE HOLDER")
    assert again["event_type"] == "purchase" and again["event_id"] != purchase["event_id"]


def test_returns_and_dirty_lines_are_kept(tmp_path: Path) -> None:
    rows = "C1,A,,-2,7/1/2011 9:00,1.5,,UK\n2,A,,many,someday,cheap,,UK\n3,A\n"
    file = written(tmp_path, f"{HEADER}\n{rows}")
    back, dirty, ragged = produced(file, load_mapping(MAPPINGS / "invoices.yml"))
    assert (back["event_type"], back["delta_quantity"]) == ("inventory_change", 2)
    assert back["occurred_at"] == "2011-07-01T08:00:00Z"  # summer time in London
    assert (dirty["quantity"], dirty["occurred_at"], dirty["price_cents"]) == (
        "many",
        "someday",
        "cheap",
    )
    assert ragged["event_type"] == "unmapped"
    assert ragged["attributes"] == {"problem": "line 4: 2 fields, not 8", "fields": ["3", "A"]}


def test_a_clickstream_of_json_lines(tmp_path: Path) -> None:
    click = {"id": "e-1", "ts": 1700000000123, "action": "view", "sku": "A1", "user": {"id": "u7"},
             "visit": "s9", "country": "DE", "price": 2.55}  # fmt: skip
    lines = [click, click | {"id": "e-2", "action": "purchase"}, click | {"action": "scroll"}]
    text = "\n".join(map(json.dumps, lines)) + "\n{broken\n[]\n"
    file = tmp_path / "clicks.jsonl.gz"
    file.write_bytes(gzip.compress(text.encode()))
    first, bought, other, broken, array = produced(file, load_mapping(MAPPINGS / "clickstream.yml"))
    assert first["occurred_at"] == "2023-11-14T22:13:20.123000Z"
    assert (first["customer_id"], first["attributes"]["user"]) == ("u7", {"id": "u7"})
    assert (bought["price_cents"], bought["quantity"]) == (255, 1)
    assert [one["event_type"] for one in (other, broken, array)] == ["unmapped"] * 3
    assert broken["attributes"] == {"text": "{broken", "problem": "line 4: not JSON"}


def test_parquet_keeps_exact_money_and_types(tmp_path: Path) -> None:
    table = pa.table({"at": ["2017-01-01T00:00:00+02:00"], "item": [7], "n": [1.0], "price": [1.1],
                      "x": [float("nan")]})  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    (event,) = produced(tmp_path / "a.parquet", mapping())
    assert (event["item_id"], event["quantity"], event["price_cents"]) == ("7", 1, 110)
    assert event["occurred_at"] == "2016-12-31T22:00:00Z"
    assert event["attributes"] == {"x": "nan"}


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    file = written(tmp_path, f"{HEADER}\n{LINE}\n{LINE}\n")
    how = load_mapping(MAPPINGS / "invoices.yml")
    assert list(mapped_events(file, how)) == list(mapped_events(file, how))
    before = fingerprint(file, how)
    file.write_text(f"{HEADER}\n{LINE}\n")
    assert fingerprint(file, how) != before


def test_a_missing_column_names_the_line_and_the_nearest(tmp_path: Path) -> None:
    file = written(tmp_path, HEADER.replace("UnitPrice", "Unit Price") + f"\n{LINE}\n")
    with pytest.raises(
        MappingError, match=r"invoices.yml:21: .* no column 'UnitPrice', it has: Unit Price"
    ):
        mapped_events(file, load_mapping(MAPPINGS / "invoices.yml"))
    semicolons = written(tmp_path, "at;item;n;price\n")
    with pytest.raises(MappingError, match="set 'delimiter: ';''"):
        mapped_events(semicolons, mapping())


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"\xff\xfea\x00", "utf-16"), (b"at,item,n,price\n\xe9", "cp1252"),
     (b"at,at\n1,2\n", "every column once")],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_what_to_do(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(content)
    with pytest.raises(MappingError, match=reason) as caught:
        list(mapped_events(file, mapping()))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("events:\n  - event_type: purchase\n    feilds: {}\n", "m.yml:3: 'events.0.feilds': unk"),
        ("events:\n  - event_type: sale\n    fields:\n      item_id: {column: a}\n", "m.yml:2: "),
        ("events: [\n", "not valid YAML"),
        ("encoding: latin-99\nevents:\n  - event_type: click\n    fields:\n"
         "      item_id: {column: a}\n", "unknown encoding"),
        ("events:\n  - event_type: purchase\n    fields:\n      price_cents: {column: a}\n",
         "m.yml:2: .*'unit: major'"),
        ("events:\n  - event_type: click\n    fields:\n      item_id: {column: a, constant: b}\n",
         "m.yml:4: .*either 'column' or 'constant'"),
    ],
)  # fmt: skip
def test_a_malformed_mapping_is_refused_with_its_line(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(MappingError, match=reason) as caught:
        load_mapping(written(tmp_path, text, "m.yml"))
    assert "\n" not in str(caught.value)


def test_an_item_is_sent_again_only_when_it_changed(tmp_path: Path) -> None:
    file = written(tmp_path, "item,name,at\nA,x,1\nA,x,2\nA,y,3\nA,x,4\nB,x,5\n")
    rule = {
        "event_type": "item_upsert",
        "fields": {
            "item_id": {"column": "item"},
            "title": {"column": "name"},
            "occurred_at": {"column": "at"},
        },
    }
    assert [one["occurred_at"] for one in produced(file, mapping(rule))] == ["1", "3", "4", "5"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=6)))
def test_no_row_vanishes(rows: list[list[str]]) -> None:
    def quoted(cell: str) -> str:
        doubled = cell.replace('"', '""')
        return f'"{doubled}"'

    text = "at,item,n,price\n" + "".join(",".join(map(quoted, row)) + "\n" for row in rows)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        file.write_bytes(text.encode())
        events = produced(file, mapping())
    assert len(events) == sum(1 for row in rows if row)
    assert len({event["event_id"] for event in events}) == len(events)


@settings(max_examples=100, deadline=None)
@given(st.integers(min_value=-(10**11), max_value=10**11))
def test_money_is_exact(cents: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = written(
            Path(folder), f"at;item;n;price\n1;a;1;{Decimal(cents) / 100:.2f}\n".replace(".", ",")
        )
        (event,) = produced(file, mapping(delimiter=";", decimal=","))
    assert event["price_cents"] == cents


def test_money_finer_than_a_cent_is_not_rounded_unasked(tmp_path: Path) -> None:
    file = written(tmp_path, "at,item,n,price\n1,a,1,0.125\n")
    assert produced(file, mapping())[0]["price_cents"] == "0.125"
    fields = PURCHASE["fields"] | {  # type: ignore[operator]
        "price_cents": {"column": "price", "unit": "major", "round": "half_up"}
    }
    assert produced(file, mapping(PURCHASE | {"fields": fields}))[0]["price_cents"] == 13

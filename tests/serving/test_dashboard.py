"""The dashboard over HTTP: its files, its panels, and what they are answered to whom."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from shop import KINDS, assert_problem, publish

from pipelines.errors import LakeError
from serving.dashboard import Panels
from serving.keys import KeyRing, add_key
from serving.lmdb_store import LmdbStore
from serving.page_files import FOLDER, PAGE_FILES
from serving.server import BackgroundServer
from serving.shared import Shared

NAMES = ("items", "stock", "prices", "quality", "customers", "runs", "live", "sales")


class Told:
    """Panels that tell what they were asked."""

    def panel(self, name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked.get("table") == "silver.none":
            raise KeyError("silver.none")
        if asked.get("category") == "BROKEN":
            raise LakeError("gold.sales_hourly cannot be read: gone; refresh it, or try again")
        return {"panel": name, "asked": dict(asked)}


@contextmanager
def serving(
    folder: Path, panels: Panels | None, common: Shared | None = None
) -> Iterator[httpx.Client]:
    """A server over the small shop."""
    store = LmdbStore(folder / "online")
    publish(store, *KINDS)
    background = BackgroundServer(store, panels=panels, common=common)
    with background as server, httpx.Client(base_url=server.url) as client:
        yield client
    store.close()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serving(tmp_path_factory.mktemp("bare"), None) as client:
        yield client


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serving(tmp_path_factory.mktemp("told"), Told()) as client:
        yield client


def test_the_page_loads_only_what_is_served_here(bare: httpx.Client) -> None:
    page = bare.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"https?://|<style|style=|<script>|\son\w+=\"", page.text)
    named = set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text))
    for name, file in PAGE_FILES.items():
        answer = bare.get(f"/assets/{name}")
        assert (
            answer.content == file.content and answer.headers["x-content-type-options"] == "nosniff"
        )
        if name.endswith(".js"):
            named |= set(re.findall(r'from "([^"]+)"', answer.text))
    assert named == {f"/assets/{name}" for name in PAGE_FILES}  # nothing is missing or left over
    again = bare.get("/", headers={"if-none-match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["none.js", "..%2Fapi.py", "%2e%2e/keys.py", "README.md", ""])
def test_no_other_file_is_served(bare: httpx.Client, name: str) -> None:
    assert_problem(bare.get(f"/assets/{name}"), 404, "NOT_FOUND")


def test_what_comes_from_elsewhere_is_what_its_digest_says() -> None:
    digests = re.findall(
        r"\| `(.+)` \| `([0-9a-f]{64})` \|", (FOLDER / "vendor" / "README.md").read_text()
    )
    assert [name for name, _ in digests] == ["uPlot.esm.js", "uPlot.min.css"]
    for name, digest in digests:
        assert sha256(PAGE_FILES[name].content).hexdigest() == digest
    assert "MIT" in (FOLDER / "vendor" / "LICENSE-uPlot.txt").read_text()


def test_panels_are_asked_with_the_filters(told: httpx.Client) -> None:
    sales = told.get("/v1/dashboard/sales?hours=24&category=FRZN%20FRUITS/VEG&currency=USD").json()
    asked = {"hours": 24, "category": "FRZN FRUITS/VEG", "region": "", "currency": "USD"}
    assert sales == {"panel": "sales", "asked": asked}
    stock = told.get("/v1/dashboard/stock?region=north").json()
    assert stock["asked"] == {"category": "", "region": "north"}
    live = told.get("/v1/dashboard/live").json()
    assert [kind["kind"] for kind in live["published"]] == sorted(KINDS)
    first = told.get("/v1/dashboard/runs")
    again = told.get("/v1/dashboard/runs", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_customer_comes_with_recommendations(told: httpx.Client) -> None:
    known = told.get("/v1/dashboard/customers/c1").json()
    assert (known["fallback"], known["model_version"]) == (False, "v-recommendations")
    assert [item["item_id"] for item in known["recommended"]] == [f"i{n}" for n in range(12)]
    unknown = told.get("/v1/dashboard/customers/c9").json()
    assert unknown["fallback"] and unknown["recommended"][0]["item_id"] == "p0"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("sales?hours=0", 422, "INVALID_HOURS"),
        ("sales?hours=169", 422, "INVALID_HOURS"),
        ("sales?currency=usd", 422, "INVALID_CURRENCY"),
        ("items?region=%0A", 422, "INVALID_REGION"),
        ("items?category=a%7Cb", 422, "INVALID_CATEGORY"),
        ("everything", 422, "INVALID_PANEL"),
        ("customers/a%20b", 422, "INVALID_ID"),
        ("customers/", 422, "INVALID_ID"),
        ("quarantine/x", 422, "INVALID_TABLE"),
        ("quarantine/silver.none", 404, "NOT_FOUND"),
        ("quarantine/silver.x?reason=A%20B", 422, "INVALID_REASON"),
        ("quarantine/silver.x?limit=101", 422, "INVALID_LIMIT"),
        ("stock?category=BROKEN", 503, "NOT_READY"),
    ],
)
def test_what_cannot_be_shown_says_why(
    told: httpx.Client, path: str, status: int, code: str
) -> None:
    assert_problem(told.get(f"/v1/dashboard/{path}"), status, code)


def test_a_server_without_a_lake_shows_that_nothing_is_there(bare: httpx.Client) -> None:
    for name in NAMES:
        body = bare.get(f"/v1/dashboard/{name}").json()
        assert body["missing"] == "this server was started without a lake"


def test_panels_need_a_key_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"

    def header(name: str, scope: str) -> dict[str, str]:
        return {"authorization": f"Bearer {add_key(file, name, [scope], rate=1000, burst=1000)}"}

    board, reader = header("board", "dashboard"), header("reader", "read")
    with serving(tmp_path, Told(), Shared(keys=KeyRing(file))) as client:
        for open_path in ("/", *(f"/assets/{name}" for name in PAGE_FILES)):
            assert client.get(open_path).status_code == 200
        for one in (*NAMES, "quarantine/silver.x", "customers/c1"):
            path = f"/v1/dashboard/{one}"
            assert_problem(client.get(path), 401, "UNAUTHORIZED")
            assert_problem(client.get(path, headers=reader), 403, "FORBIDDEN")
            assert client.get(path, headers=board).status_code == 200
        assert_problem(client.get("/v1/prices/i1", headers=board), 403, "FORBIDDEN")


SERVE = """
import sys
from pipelines.settings import load_settings
from pipelines.io.lake import open_lake
from serving.server import serve
settings = load_settings(overrides={"root": sys.argv[1]})
open_lake(settings, create=True)
serve(settings, port=0)
"""


@contextmanager
def served(root: Path) -> Iterator[str]:
    command = [sys.executable, "-c", SERVE, str(root)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", server.stderr.readline())
            assert found
            yield found[0]
        finally:
            server.terminate()


def test_a_lake_from_which_nothing_was_published_is_served(tmp_path: Path) -> None:
    with served(tmp_path / "lake") as url:
        assert httpx.get(url).status_code == 200
        assert_problem(httpx.get(f"{url}/v1/prices/i1"), 503, "NOT_READY")
        assert json.loads(httpx.get(f"{url}/v1/dashboard/live").content)["published"] == []


def luminance(colour: str) -> float:
    """Relative luminance after WCAG 2.2 of `#rrggbb`."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_stands_out_in_light_and_dark() -> None:
    css = PAGE_FILES["style.css"].content.decode()
    pairs = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", css)
    colours = {name: (light, dark) for name, light, dark in pairs}
    for theme in (0, 1):
        for text in ("text", "soft", "accent", "good", "bad", "warn"):
            for below in ("card", "page"):
                shades = sorted(luminance(colours[name][theme]) for name in (text, below))
                assert (shades[1] + 0.05) / (shades[0] + 0.05) >= 4.5, (text, below, theme)

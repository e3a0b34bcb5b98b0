"""The dashboard in a real Chromium: what is on the screen is what the lake holds."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from given_gold import NEWEST, put, refusal, sale, shop_lake
from playwright.sync_api import Browser, Page, expect, sync_playwright
from shop import KINDS, publish

from pipelines.dashboard.panels import Panels
from pipelines.settings import Settings
from serving.hot_answers import PULSE, SELLERS, TRENDING
from serving.keys import KeyRing, add_key
from serving.lmdb_store import LmdbStore
from serving.online import OnlineStore
from serving.server import BackgroundServer
from serving.shared import Shared

PHONE, DESK = {"width": 360, "height": 780}, {"width": 1440, "height": 900}
QUARANTINE = "silver.purchases_quarantine"
WEEK_CENTS = 7 * sum(3 * (1000 + 40 * hour) + 3 for hour in range(24))
RUN: dict[str, Any] = {
    "run_id": 7, "job": "refresh", "state": "SUCCESS", "started_at": 1.0, "ended_at": 3.0,
    "message": "", "is_lost": False, "has_ended": True,
}  # fmt: skip
Serve = Callable[..., str]
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        # Its sandbox wants a user that is not root.
        started = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield started
        started.close()


def _count_just_now(store: OnlineStore, heard_at: datetime) -> None:
    """As `lakehouse hot-lists` leaves it in the store: one item, and when the broker was heard."""
    counted = {"item_id": "i9", "title": "Fresh figs", "units": 41, "event_count": 60,
               "usual_count": 2.5, "score": 9.5}  # fmt: skip
    for kind in (SELLERS, TRENDING):
        store.publish(kind, [("*|*", {"items": [counted]})], version="live", published_at=heard_at)
    heard = {"heard_at": heard_at.isoformat(), "window_s": 86_400, "trend_s": 3600}
    store.update(PULSE, {PULSE: heard}, at=heard_at, ttl=timedelta(hours=1))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serves a lake with a small online store beside it; returns the URL."""
    with ExitStack() as until_done:

        def run(
            settings: Settings,
            *kinds: str,
            common: Shared | None = None,
            counted_until: datetime | None = None,
        ) -> str:
            store = LmdbStore(tmp_path / "online")
            until_done.callback(store.close)
            publish(store, *kinds)
            if counted_until:
                _count_just_now(store, counted_until)
            panels = Panels(settings, lambda: [RUN])
            background = BackgroundServer(store, panels=panels, common=common)
            return until_done.enter_context(background).url

        yield run


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Opens a page; at the end nothing may have failed in it or been asked of another server."""
    complaints: list[str] = []
    with ExitStack() as until_done:

        def go(url: str, size: Any = DESK, scheme: Any = "light", mends: bool = False) -> Page:
            context = browser.new_context(viewport=size, color_scheme=scheme, locale="en-US")
            until_done.callback(context.close)
            page = context.new_page()
            if not mends:
                page.on(
                    "console",
                    lambda m: m.type in ("error", "warning") and complaints.append(m.text),
                )
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: complaints.append("dialog") or dialog.dismiss())
            page.on("request", lambda r: r.url.startswith(url) or complaints.append(r.url))
            page.goto(url)
            return page

        yield go
    assert complaints == []


# Numbers what can be used, and ends the polling: nothing is replaced while keys are pressed.
MARK = """() => {
  Object.defineProperty(document, "hidden", { get: () => true });
  const all = [...document.querySelectorAll("a, button, select, input, summary")];
  const usable = all.filter((node) => node.checkVisibility() && !node.closest("dialog:not([open])")
    && (node.type !== "radio" || node.checked));
  usable.forEach((node, number) => { node.dataset.mark = number; });
  return usable.length;
}"""


def dollars(cents: int) -> str:
    return f"${cents / 100:,.2f}"


def test_the_screen_shows_what_gold_holds_and_what_happens_next(
    shop: Settings, serve: Serve, visit: Open
) -> None:
    page = visit(serve(shop, *KINDS))
    expect(page.locator("#tile-revenue")).to_have_text(dollars(WEEK_CENTS))
    expect(page.locator("#status-text")).to_have_text("Live")
    gold = Panels(shop)
    asked = {"category": "", "region": "", "currency": "", "hours": 168}
    for panel, rows in (("regions", "regions"), ("categories", "categories")):
        told = gold.panel("sales", asked)[rows]
        shown = page.locator(f"#{panel}-body tbody tr")
        expect(shown).to_have_count(len(told))
        for number, row in enumerate(told):
            expect(shown.nth(number)).to_contain_text(row["name"])
            expect(shown.nth(number)).to_contain_text(dollars(row["revenue_cents"]))
    for place, names in (
        ("sellers", ["Oat milk", "Butter", "Rye bread", "Rolls", "Cheddar"]),
        ("stock", ["out of stock", "2 days", "4 days", "6 days", "8 days"]),
    ):
        shown = page.locator(f"#{place}-body tbody tr")
        for number, name in enumerate(names):
            expect(shown.nth(number)).to_contain_text(name)
    expect(page.locator("#tile-stock")).to_have_text("1")
    expect(page.locator("#customer-body")).to_contain_text("$6.99")
    expect(page.locator("#customer-body")).to_contain_text("often bought together")
    expect(page.locator("#runs-body")).to_contain_text("refresh")
    expect(page.locator("#sales-chart canvas")).to_be_visible()
    expect(page.locator("#prices")).to_be_hidden()

    put(shop, "gold.sales_hourly", [sale(NEWEST, 123_456, region="west")])
    expect(page.locator("#tile-revenue")).to_have_text(
        dollars(WEEK_CENTS + 123_456), timeout=10_000
    )
    expect(page.locator("#regions-body tbody tr")).to_have_count(3)
    put(shop, QUARANTINE, [refusal(9, b"{", "malformed_json")])
    expect(page.locator("#quality-body")).to_contain_text("malformed json", timeout=15_000)


@pytest.mark.parametrize("age_s", [0, 300])
def test_hot_lists_stand_in_for_gold_while_they_are_fresh(
    shop: Settings, serve: Serve, visit: Open, age_s: int
) -> None:
    heard_at = datetime.now(UTC) - timedelta(seconds=age_s)
    page = visit(serve(shop, *KINDS, counted_until=heard_at))
    sellers, trending = (page.locator(f"#{place}-body") for place in ("sellers", "trending"))
    expect(sellers.locator("tbody tr")).to_have_count(5 if age_s else 1)
    if age_s:
        expect(sellers).not_to_contain_text("Just now")
        return
    expect(sellers).to_contain_text("Just now: over the last 24 h.")
    expect(sellers.locator("tbody tr")).to_have_text(["Fresh figsi941"])
    expect(trending).to_contain_text("Just now: the last 1 h, beside the usual of that time.")
    expect(trending.locator("tbody tr")).to_have_text(["Fresh figsi9602.5▲ 9.5"])
    expect(page.locator("#top-sellers .about")).to_be_hidden()


def test_filters_change_every_panel_and_stand_in_the_address(
    shop: Settings, serve: Serve, visit: Open
) -> None:
    url = serve(shop, *KINDS)
    page = visit(url)
    page.get_by_role("button", name="BAKERY").click()
    expect(page.locator("#regions-body tbody tr")).to_have_count(1)
    expect(page.locator("#sellers-body tbody tr")).to_have_count(2)
    assert page.url.endswith("#category=BAKERY")
    page.reload()
    expect(page.locator("select[name=category]")).to_have_value("BAKERY")
    expect(page.locator("#sellers-body tbody tr")).to_have_count(2)
    page.get_by_label("24 hours").check(force=True)
    expect(page.locator("#sales-about")).to_contain_text("24 hours up to Mar 8, 2026")
    page.get_by_role("button", name="BAKERY").click()
    expect(page.locator("#sellers-body tbody tr")).to_have_count(5)


def test_refused_events_are_opened_by_keyboard_and_shown_as_they_are(
    shop: Settings, serve: Serve, visit: Open
) -> None:
    page = visit(serve(shop))
    opener = page.get_by_role("button", name="quantity out of range")
    opener.focus()
    page.keyboard.press("Enter")
    events = page.locator("#quarantine .event")
    expect(events).to_have_count(2)
    expect(events.nth(0)).to_contain_text("no payload: a tombstone")
    expect(events.nth(1)).to_contain_text(
        '{"item_id": "<img src=x onerror=alert(1)>", "quantity": 0}⟨U+0000⟩�'
    )
    assert page.locator("#quarantine img").count() == 0
    events.nth(1).get_by_text("Bytes", exact=True).click()
    expect(events.nth(1).locator("pre.hex")).to_contain_text("000000  7b 22 69 74 65 6d 5f 69 64")
    page.get_by_role("button", name="Close").press("Enter")
    expect(page.locator("#quarantine")).to_be_hidden()
    expect(opener).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_without_scrolling_sideways(
    shop: Settings, serve: Serve, visit: Open, scheme: str
) -> None:
    page = visit(serve(shop, *KINDS), PHONE, scheme)
    expect(page.locator("#customer-body")).to_contain_text("Oat milk")
    expect(page.locator("#live-chart canvas")).to_be_visible()
    sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(sideways) == 0
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    shade = sum(int(part) for part in background.strip("rgb()").split(","))
    assert (shade < 200) == (scheme == "dark")


def test_the_theme_can_be_chosen(shop: Settings, serve: Serve, visit: Open) -> None:
    page = visit(serve(shop, *KINDS), scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    for said in ("light", "dark"):
        page.locator("#theme").click()
        expect(page.locator("#theme")).to_have_text(f"Theme: {said}")
    assert page.evaluate(colour) != light


def test_everything_is_within_reach_of_the_tab_key(
    shop: Settings, serve: Serve, visit: Open
) -> None:
    page = visit(serve(shop, *KINDS))
    expect(page.locator("#customer-body")).to_contain_text("Oat milk")
    expect(page.locator("#quality-body")).to_contain_text("quantity out of range")
    expect(page.locator("#live-body summary").first).to_be_visible()
    for place in ("regions", "categories", "sellers", "trending", "stock", "runs"):
        expect(page.locator(f"#{place}-body tbody tr").first).to_be_visible()
    wanted = page.evaluate(MARK)
    reached = set()
    for _ in range(wanted + 40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("Number(document.activeElement.dataset.mark ?? -1)"))
    assert wanted > 15 and set(range(wanted)) <= reached


def test_a_lake_without_events_says_what_to_do(tmp_path: Path, serve: Serve, visit: Open) -> None:
    page = visit(serve(shop_lake(tmp_path / "lake")))
    expect(page.locator("#sales-chart")).to_contain_text(
        "Run lakehouse ingest, then lakehouse refresh"
    )
    expect(page.locator("#quality-body")).to_contain_text("No event was taken in yet.")
    expect(page.locator("#live-body")).to_contain_text("No stream has run yet.")
    expect(page.locator("#status-text")).to_have_text("Live")


def test_price_suggestions_are_shown_with_their_effect(
    shop: Settings, serve: Serve, visit: Open
) -> None:
    row = {
        "item_id": "i1", "region": "north", "currency": "USD", "price_cents": 200,
        "suggested_cents": 210, "is_change": True, "units_per_week": 14.0, "units_change": -0.6,
        "profit_change_cents": 855.4, "profit_change_low": 120.0, "profit_change_high": 1500.0,
        "confidence": 0.95, "reason": "demand hardly follows the price", "as_of_at": NEWEST,
    }  # fmt: skip
    put(shop, "gold.price_suggestions", [row])
    page = visit(serve(shop))
    shown = page.locator("#prices-body tbody tr")
    for text in ("Butter", "$2.10", "now $2.00, +5 %", "-0.6", "+$8.55", "$1.20 to $15.00", "95 %"):
        expect(shown).to_contain_text(text)


def test_a_key_is_asked_for_and_kept_in_the_tab_alone(
    shop: Settings, serve: Serve, visit: Open, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    reader = add_key(file, "reader", ["read"], rate=1000, burst=1000)
    board = add_key(file, "board", ["dashboard"], rate=1000, burst=1000)
    page = visit(serve(shop, *KINDS, common=Shared(keys=KeyRing(file))), mends=True)
    for key, says in (
        ("lh_wrong", "That key is not valid"),
        (reader, "lacks the scope 'dashboard'"),
    ):
        page.get_by_label("Key", exact=True).fill(key)
        page.keyboard.press("Enter")
        expect(page.locator("#key-why")).to_contain_text(says)
    page.get_by_label("Key", exact=True).fill(board)
    page.keyboard.press("Enter")
    expect(page.locator("#tile-revenue")).to_have_text(dollars(WEEK_CENTS))
    expect(page.locator("#key-dialog")).to_be_hidden()
    kept = page.evaluate("[document.cookie, JSON.stringify(localStorage), location.href].join()")
    assert board not in kept and page.evaluate("sessionStorage.getItem('lakehouse-key')") == board


def test_a_server_that_goes_and_comes_is_told_of(
    shop: Settings, browser: Browser, tmp_path: Path, visit: Open
) -> None:
    store = LmdbStore(tmp_path / "online")
    panels = Panels(shop)
    with BackgroundServer(store, panels=panels) as server:
        url = server.url
        page = visit(url, mends=True)
        expect(page.locator("#status-text")).to_have_text("Live")
        expect(page.locator("#tile-revenue")).to_have_text(dollars(WEEK_CENTS))
    expect(page.locator("#status-text")).to_contain_text("Not answering", timeout=10_000)
    expect(page.locator("#tile-revenue")).to_have_text(dollars(WEEK_CENTS))
    with BackgroundServer(store, panels=panels, port=int(url.rsplit(":", 1)[1])):
        expect(page.locator("#status-text")).to_have_text("Live", timeout=30_000)
        page.context.close()
    store.close()

"""The bodies of the answers from the online store."""

from datetime import datetime

from pydantic import BaseModel

from serving.suggested_prices import SuggestedPrice


class RecommendedItem(BaseModel):
    item_id: str
    title: str | None
    category: str | None
    score: float
    reason: str


class Recommendations(BaseModel):
    customer_id: str
    items: list[RecommendedItem]
    fallback: bool
    model_version: str
    experiment: str | None = None
    arm: str | None = None
    as_of: datetime
    stale: bool


class SimilarItems(BaseModel):
    item_id: str
    items: list[RecommendedItem]
    model_version: str
    as_of: datetime
    stale: bool


class TopSeller(BaseModel):
    item_id: str
    title: str
    units: int
    revenue_cents: int


class TopSellers(BaseModel):
    category: str
    region: str
    date: str | None
    items: list[TopSeller]
    version: str
    as_of: datetime
    stale: bool


class TrendingItem(BaseModel):
    item_id: str
    title: str
    event_count: int
    usual_count: float
    score: float


class Trending(BaseModel):
    category: str
    region: str
    items: list[TrendingItem]
    version: str
    as_of: datetime
    stale: bool


class Price(BaseModel):
    region: str
    price_cents: int
    currency: str
    changed_at: datetime


class Prices(BaseModel):
    item_id: str
    prices: list[Price]
    suggestions: list[SuggestedPrice]
    version: str
    as_of: datetime
    stale: bool


class Level(BaseModel):
    region: str
    quantity: int
    changed_at: datetime


class Inventory(BaseModel):
    item_id: str
    levels: list[Level]
    version: str
    as_of: datetime
    stale: bool

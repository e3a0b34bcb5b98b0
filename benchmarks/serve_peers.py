"""What `make bench-serve` compares with: the endpoint as one would first write it, and a floor.

`python -m benchmarks.serve_peers plain REDIS_URL` is FastAPI over redis-py (its asyncio client, the
answer as text under a key, checked by a model); `… constant` answers each request with the same
bytes. Both run on uvicorn as the API does, on a free port that they print.
"""

import json
import sys
from typing import Any

import redis.asyncio
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

BODY = b"x" * 1800  # about as long as ten recommendations


class Item(BaseModel):
    item_id: str
    title: str
    category: str
    score: float
    reason: str


class Recommendations(BaseModel):
    customer_id: str
    items: list[Item]
    fallback: bool
    model_version: str


def plain(url: str) -> FastAPI:
    """`/v1/recommendations/{customer_id}` over Redis."""
    app, store = FastAPI(), redis.asyncio.from_url(url)

    @app.get("/v1/recommendations/{customer_id}")
    async def recommendations(customer_id: str, k: int = 10) -> Recommendations:
        found = await store.get(f"recommendations:{customer_id}")
        fallback = found is None
        if found is None:
            found = await store.get("popular")
        if found is None:
            raise HTTPException(404)
        return Recommendations(
            customer_id=customer_id,
            items=json.loads(found)["items"][:k],
            fallback=fallback,
            model_version="1",
        )

    return app


async def constant(scope: Any, receive: Any, send: Any) -> None:
    """The least that a server on uvicorn can do."""
    headers = [(b"content-length", str(len(BODY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets=sockets)
        print(f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}", flush=True)


def main() -> None:
    app = plain(sys.argv[2]) if sys.argv[1] == "plain" else constant
    config = uvicorn.Config(app, port=0, log_level="error", access_log=False, lifespan="off")
    _Server(config).run()


if __name__ == "__main__":
    main()

import re

import httpx

from serving.docs_page import docs_page


def test_docs_list_every_operation_and_load_nothing(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    described = client.get("/openapi.json").json()
    assert len(described["paths"]) == 21
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert f"<h2>{method.upper()} {path}</h2>" in page.text
            assert "422" not in operation["responses"] or (
                "application/problem+json" in operation["responses"]["422"]["content"]
            )
    assert not re.search(r"<script|https?://|src=|url\(|@import", page.text)
    assert '<html lang="en">' in page.text and "color-scheme: light dark" in page.text


def test_the_docs_page_escapes_what_it_shows() -> None:
    text = {"description": "<b>", "parameters": []}
    page = docs_page({"info": {"title": "<i>"}, "paths": {"/<x>": {"get": text}}})
    assert not re.search("<b>|<i>|<x>", page)

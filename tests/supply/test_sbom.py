"""The bill of materials names every package and every jar, with digests."""

import json

import pytest

from pipelines.jars import digests
from supply import sbom
from supply.lock import pinned


@pytest.fixture(scope="module")
def bom(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, object]]]:
    output = tmp_path_factory.mktemp("sbom") / "build" / "sbom.json"
    sbom.main(output)
    made: dict[str, list[dict[str, object]]] = json.loads(output.read_text())
    return made


def test_every_package_of_the_lock_is_in_it(bom: dict[str, list[dict[str, object]]]) -> None:
    named = {one["purl"] for one in bom["components"] if "purl" in one}
    assert {f"pkg:pypi/{name}@{version}" for name, version in pinned().items()} <= named


def test_every_jar_is_in_it_with_its_digest(bom: dict[str, list[dict[str, object]]]) -> None:
    told = {str(one["bom-ref"]): one for one in bom["components"]}
    for name, digest in digests().items():
        assert told[f"jar:{name}"]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    delta = told["jar:io.delta_delta-spark_4.2_2.13-4.4.0.jar"]
    assert delta["purl"] == "pkg:maven/io.delta/delta-spark_4.2_2.13@4.4.0"

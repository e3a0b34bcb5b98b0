"""`make sbom`: what the product consists of, as CycloneDX 1.6 in build/sbom.json.

The Python packages with their hashes come from the lock (cyclonedx-bom); the jars are added with
the digests of conf/jars.sha256.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipelines.jars import digests
from supply.lock import LOCK

PROJECT = LOCK.parent
OUTPUT = PROJECT / "build" / "sbom.json"
# Spark's Ivy names a jar ORGANISATION_NAME-VERSION.jar; the broker's lack the organisation.
_IVY = re.compile(r"(?P<group>[a-z0-9.-]+)_(?P<name>.+)-(?P<version>\d[^-]*(?:-[^-]*)?)\.jar")
_BARE = re.compile(r"(?P<name>.+?)-(?P<version>\d.*)\.jar")


def jar_component(file: str, digest: str) -> dict[str, Any]:
    """A jar as a component of CycloneDX."""
    found = _IVY.fullmatch(file) or _BARE.fullmatch(file)
    made: dict[str, Any] = {"type": "library", "bom-ref": f"jar:{file}", "name": file}
    made["hashes"] = [{"alg": "SHA-256", "content": digest}]
    if found:
        parts = found.groupdict()
        made |= {"name": parts["name"], "version": parts["version"]}
        if "group" in parts:
            group = made["group"] = parts["group"]
            made["purl"] = f"pkg:maven/{group}/{parts['name']}@{parts['version']}"
    return made


def main(output: Path = OUTPUT) -> None:
    """Write the bill of materials."""
    output.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", str(LOCK),
            "--pyproject", str(PROJECT / "pyproject.toml"), "--output-reproducible",
            "--short-PURLs", "--sv", "1.6", "--of", "JSON", "-o", str(output),
        ],
        check=True,
    )  # fmt: skip
    bom = json.loads(output.read_text("utf-8"))
    for component in bom["components"]:
        component.pop("description", None)  # the line of the lock, once more
    bom["components"] += [jar_component(file, digest) for file, digest in digests().items()]
    output.write_text(json.dumps(bom, indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{len(bom['components'])} components in {output}\n")


if __name__ == "__main__":
    main()

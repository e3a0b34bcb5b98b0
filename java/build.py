"""Compile `lakehouse-s3.jar` from the Java sources beside this file: `python java/build.py`.

Needs a JDK, and Delta's packages in Ivy's cache (any command of the lake puts them there). The jar
is kept in the repository, so that users need neither; it names the digest of its sources, and the
same sources give the same bytes under the same JDK.
"""

import hashlib
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pyspark

HERE = Path(__file__).resolve().parent
JAR = HERE / "lakehouse-s3.jar"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold


def sources_digest() -> str:
    """Changes whenever a source does."""
    sources = sorted(HERE.glob("lakehouse/*.java"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:32]


def build() -> None:
    """Write the jar anew."""
    spark = Path(pyspark.__file__).parent / "jars"
    delta = next(Path.home().glob(".ivy2*/jars/io.delta_delta-storage-*.jar"))
    with tempfile.TemporaryDirectory() as classes:
        command = ["javac", "--release", "17", "-cp", f"{spark}/*:{delta}", "-d", classes]
        subprocess.run([*command, *map(str, sorted(HERE.glob("lakehouse/*.java")))], check=True)
        with zipfile.ZipFile(JAR, "w", zipfile.ZIP_DEFLATED) as jar:
            manifest = f"Manifest-Version: 1.0\nSources: {sources_digest()}\n"
            jar.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF", _EPOCH), manifest)
            for path in sorted(Path(classes).rglob("*.class")):
                name = path.relative_to(classes).as_posix()
                jar.writestr(zipfile.ZipInfo(name, _EPOCH), path.read_bytes())


if __name__ == "__main__":
    build()

"""The Java runtime that Spark and the local broker need, and the jars of Apache Kafka."""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from pipelines.errors import DownloadError, JavaError
from pipelines.jars import cache_folder, check_jars, digests

MINIMUM_JAVA = 17
KAFKA_VERSION = "4.2.0"
_INSTALL = "install a Java 17 or later runtime, e.g. the package openjdk-17-jre-headless"
_VERSION_TIMEOUT_S = 30
_DOWNLOAD_TIMEOUT_S = 600

_IVY_SETTINGS = """<ivysettings>
<settings defaultResolver="central"/>
<timeout-constraints>
<timeout-constraint name="bounded" connectionTimeout="5000" readTimeout="30000"/>
</timeout-constraints>
<resolvers><ibiblio name="central" m2compatible="true" timeoutConstraint="bounded"/></resolvers>
</ivysettings>
"""
# Kafka brings slf4j but no binding: without log4j-slf4j-impl the broker would die in silence.
_IVY_MODULE = f"""<ivy-module version="2.0"><info organisation="lakehouse" module="broker"/>
<dependencies>
<dependency org="org.apache.kafka" name="kafka_2.13" rev="{KAFKA_VERSION}" conf="default->default"/>
<dependency org="org.apache.logging.log4j" name="log4j-slf4j-impl" rev="2.25.3"
 conf="default->default" transitive="false"/>
</dependencies></ivy-module>
"""


def require_java() -> Path:
    """The `java` program to run: that of `JAVA_HOME`, else the first one on `PATH`.

    Raises:
        JavaError: there is none, it does not run, or it is older than Java 17.
    """
    java = _find_java()
    if java is None:
        raise JavaError(f"no Java found; {_INSTALL}")
    version = _version_of(java)
    numbers = [int(part) for part in re.findall(r"\d+", version)[:2]]
    major = numbers[1] if numbers[0] == 1 and len(numbers) > 1 else numbers[0]  # 1.8 is Java 8
    if major < MINIMUM_JAVA:
        raise JavaError(f"{java} is Java {version}, too old; {_INSTALL}")
    return java


def kafka_jars(java: Path) -> Path:
    """The folder of Kafka's jars in the user's cache, filled by the first call (44 MB, 27 s).

    Raises:
        DownloadError: the jars are not there and cannot be downloaded.
        JarError: one of them is not the listed one.
    """
    cache = cache_folder()
    jars = cache / f"kafka-{KAFKA_VERSION}"
    if not jars.is_dir():
        _fetch(java, cache, jars)
    check_jars(jars.glob("*.jar"), digests())
    return jars


def _fetch(java: Path, cache: Path, jars: Path) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".kafka-") as scratch:
            resolved = _resolve(java, Path(scratch))
            try:
                resolved.rename(jars)
            except OSError:
                if not jars.is_dir():  # else another process was faster
                    raise
    except OSError as error:
        raise DownloadError(f"Kafka cannot be kept in {cache}: {error}; correct it") from None


def _find_java() -> Path | None:
    home = os.environ.get("JAVA_HOME")
    if home and (found := shutil.which(str(Path(home) / "bin" / "java"))):
        return Path(found)
    found = shutil.which("java")
    return Path(found) if found else None


def _version_of(java: Path) -> str:
    """The text between the quotes of `java -version`, e.g. `17.0.15` or `1.8.0_402`."""
    try:
        answer = subprocess.run(
            [str(java), "-version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = " ".join(str(error).split())
        raise JavaError(f"{java} does not run: {reason}; {_INSTALL}") from None
    match = re.search(r'version "(\d[^"]*)"', answer.stderr + answer.stdout)
    if answer.returncode != 0 or match is None:
        raise JavaError(f"{java} does not tell its version; {_INSTALL}")
    return match[1]


def _resolve(java: Path, scratch: Path) -> Path:
    spec = importlib.util.find_spec("pyspark")
    home = Path(spec.origin).parent if spec and spec.origin else Path()
    ivy = next((home / "jars").glob("ivy-*.jar"), None)
    if ivy is None:
        raise DownloadError("pyspark has no Ivy jar; install requirements.lock again")
    settings, module, lib = scratch / "settings.xml", scratch / "ivy.xml", scratch / "lib"
    settings.write_text(_IVY_SETTINGS, encoding="utf-8")
    module.write_text(_IVY_MODULE, encoding="utf-8")
    files = ["-settings", str(settings), "-ivy", str(module), "-cache", str(scratch / "ivy")]
    retrieve = ["-retrieve", f"{lib}/[artifact]-[revision].[ext]"]
    try:
        answer = subprocess.run(
            [str(java), "-jar", str(ivy), "-warn", *files, *retrieve],
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        reason = f"not done after {_DOWNLOAD_TIMEOUT_S} s"
    else:
        if answer.returncode == 0 and (lib / f"kafka_2.13-{KAFKA_VERSION}.jar").exists():
            return lib
        found = re.search(r"\((?:\w+\.)+(\w+: [^\n]*)\)", answer.stdout + answer.stderr)
        reason = found[1] if found else f"Ivy ended with code {answer.returncode}"
    raise DownloadError(
        f"Kafka {KAFKA_VERSION} could not be downloaded ({reason}); connect to the network (behind "
        "a proxy, set JAVA_TOOL_OPTIONS) and run again: it is needed once"
    )

"""A jar runs only if it is, byte for byte, the one that was listed."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from pipelines.errors import JarError
from pipelines.jars import LIST, check_jars, digests

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    made = tmp_path / "delta-1.jar"
    made.write_bytes(b"one byte after another")
    return made


@pytest.fixture
def known(jar: Path) -> dict[str, str]:
    return {jar.name: sha256(jar.read_bytes()).hexdigest()}


def test_the_listed_file_passes_also_the_second_time(
    jar: Path, known: dict[str, str], tmp_path: Path
) -> None:
    check_jars([jar], known, tmp_path)
    check_jars([jar], known, tmp_path)
    assert (tmp_path / "jars.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("keeps_times", [False, True])
def test_one_changed_byte_is_refused_however_it_came(
    jar: Path, known: dict[str, str], tmp_path: Path, keeps_times: bool
) -> None:
    check_jars([jar], known, tmp_path)
    times = (jar.stat().st_atime_ns, jar.stat().st_mtime_ns)
    jar.write_bytes(b"one byte after anotheR")
    if keeps_times:
        os.utime(jar, ns=times)
    with pytest.raises(JarError, match=r"delta-1\.jar is not the file that .* lists; delete it"):
        check_jars([jar], known, tmp_path)


def test_a_jar_that_nobody_listed_is_refused(jar: Path, tmp_path: Path) -> None:
    with pytest.raises(JarError, match="is not listed; if you trust it, add the line"):
        check_jars([jar], {}, tmp_path)


def test_a_jar_that_is_gone_is_named(jar: Path, known: dict[str, str], tmp_path: Path) -> None:
    jar.unlink()
    with pytest.raises(JarError, match=r"delta-1\.jar: No such file"):
        check_jars([jar], known, tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"x": 1}', ""])
def test_a_damaged_memory_of_what_was_hashed_is_no_matter(
    jar: Path, known: dict[str, str], tmp_path: Path, content: str
) -> None:
    (tmp_path / "jars.json").write_text(content)
    check_jars([jar], known, tmp_path)


@pytest.mark.parametrize("line", ["abc  x.jar", "f" * 64 + " x.jar", "f" * 64 + "  "])
def test_a_malformed_list_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    listed = tmp_path / "jars.sha256"
    listed.write_text(f"# jars\n{line}\n")
    with pytest.raises(JarError, match=r"jars\.sha256:2: must be a SHA-256"):
        digests(listed)


def test_the_jar_of_this_repository_is_the_listed_one(tmp_path: Path) -> None:
    check_jars([PROJECT / "java" / "lakehouse-s3.jar"], digests(LIST), tmp_path)

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def quick_java() -> Iterator[None]:
    """Brokers that start in 1.8 instead of 3.2 s of processor time, and are slow at work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        yield

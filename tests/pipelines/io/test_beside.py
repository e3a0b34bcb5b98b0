"""Work beside the streams is done again and again, whether it fails or not."""

import threading

from pipelines.io.beside import beside


def test_work_that_failed_is_done_again_and_the_last_is_waited_for() -> None:
    done: list[bool] = []
    failed: list[Exception] = []
    last = threading.Event()

    def work(ended: threading.Event) -> None:
        if len(done) == 2:
            last.set()
            assert ended.wait(60)
        done.append(ended.is_set())
        if len(done) == 1:
            raise ValueError("no")

    with beside("test", work, every_s=0.001, first_s=0, failed=failed.append):
        assert last.wait(60)
    assert done == [False, False, True]
    assert [str(error) for error in failed] == ["no"]


def test_nothing_is_done_before_the_first_pause_is_over() -> None:
    done: list[threading.Event] = []
    with beside("test", done.append, every_s=0, first_s=60, failed=lambda _: None):
        pass
    assert done == []

"""Prefect or Dagster with the same layers of tasks, in process; runs in the peers' environment.

`python workflow_peers.py prefect|dagster TASKS LAYER REPEATS` prints milliseconds a task.
"""

import statistics
import sys
import time


def before(number: int, layer: int) -> list[int]:
    """The two tasks of the layer before that a task waits for."""
    first = number - layer
    return [first, first - first % layer + (first + 1) % layer] if first >= 0 else []


def prefect(count: int, layer: int, repeats: int) -> list[float]:
    from prefect import flow, task

    @task
    def nothing() -> None:
        return None

    @flow
    def job() -> None:
        futures: list = []
        for number in range(count):
            after = [futures[n] for n in before(number, layer)]
            futures.append(nothing.submit(wait_for=after))
        for future in futures:
            future.result()

    return timed(job, repeats)


def dagster(count: int, layer: int, repeats: int) -> list[float]:
    from dagster import In, Nothing, graph, op

    @op
    def first() -> None:
        return None

    @op(ins={"a": In(Nothing), "b": In(Nothing)})
    def later() -> None:
        return None

    @graph
    def layers() -> None:
        made: list = []
        for number in range(count):
            after = [made[n] for n in before(number, layer)]
            one = (later if after else first).alias(f"t{number}")
            made.append(one(a=after[0], b=after[1]) if after else one())

    job = layers.to_job()
    return timed(lambda: job.execute_in_process(), repeats)


def timed(run, repeats: int) -> list[float]:
    """Seconds of each run after a first one, which loads what is needed."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    peer = {"prefect": prefect, "dagster": dagster}[sys.argv[1]]
    count, layer, repeats = map(int, sys.argv[2:5])
    print(1000 * statistics.median(peer(count, layer, repeats)) / count)

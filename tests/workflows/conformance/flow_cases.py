"""Rules of control flow: run_if, conditions, loops, retries, timeouts, repair, disabled tasks."""

from collections.abc import Iterator

from conformance.kit import JOBS, Case, refused, simulated

RUN_IF, DISABLED, IF_ELSE = JOBS + "run-if", JOBS + "disabled-tasks", JOBS + "if-else"
FOR_EACH, TASK, REPAIR = JOBS + "for-each", JOBS + "configure-task", JOBS + "repair-job-failures"
JOB = JOBS + "configure-job"
TWO = "task_key: a\ntask_key: b\ntask_key: c, depends_on: [{task_key: a}, {task_key: b}]"
SPLIT = """task_key: if, condition_task: {op: EQUAL_TO, left: "1", right: "%s"}
task_key: yes, depends_on: [{task_key: if, outcome: "true"}]
task_key: no, depends_on: [{task_key: if, outcome: "false"}]"""
LOOP = (
    "task_key: l, for_each_task: {inputs: '%s', concurrency: %d, "
    "task: {task_key: i, spark_python_task: {python_file: a.py}}}"
)

# run_if, how a and b end, how c ends: R runs, U upstream failed, X excluded
RUN_IF_TABLE = {
    "ALL_SUCCESS": {"SS": "R", "SF": "U", "FF": "U"},
    "AT_LEAST_ONE_SUCCESS": {"SS": "R", "SF": "R", "FF": "U"},
    "NONE_FAILED": {"SS": "R", "SF": "U", "FF": "U"},
    "ALL_DONE": {"SS": "R", "SF": "R", "FF": "R"},
    "AT_LEAST_ONE_FAILED": {"SS": "X", "SF": "R", "FF": "R"},
    "ALL_FAILED": {"SS": "X", "SF": "X", "FF": "R"},
}
WORDS = {"S": "succeeded", "F": "failed"}
RESULT = {"R": "SUCCESS", "U": "UPSTREAM_FAILED", "X": "EXCLUDED"}
# run_if, whether a is disabled and b ends so, how c ends
DISABLED_TABLE = {
    "ALL_SUCCESS": {"S": "DISABLED"},
    "AT_LEAST_ONE_SUCCESS": {"S": "SUCCESS", "F": "UPSTREAM_FAILED"},
    "NONE_FAILED": {"S": "SUCCESS", "F": "UPSTREAM_FAILED"},
    "ALL_DONE": {"S": "SUCCESS", "F": "SUCCESS"},
    "AT_LEAST_ONE_FAILED": {"S": "DISABLED", "F": "SUCCESS"},
}
NUMBERS = {  # op, left, right, outcome
    ("EQUAL_TO", "a", "a"): True,
    ("EQUAL_TO", "12.0", "12"): False,
    ("NOT_EQUAL", "12.0", "12"): True,
    ("GREATER_THAN", "10.5", "9"): True,
    ("GREATER_THAN", "9", "9"): False,
    ("GREATER_THAN_OR_EQUAL", "12.0", "12"): True,
    ("GREATER_THAN_OR_EQUAL", "10.0", "12"): False,
    ("LESS_THAN", "-1", "0"): True,
    ("LESS_THAN_OR_EQUAL", "2", "1"): False,
}


def cases() -> Iterator[Case]:
    """Every case of this file."""
    yield from _run_if()
    yield from _disabled()
    yield from _conditions()
    yield from _loops()
    yield from _attempts()
    yield from _runs()


def _run_if() -> Iterator[Case]:
    for run_if, table in RUN_IF_TABLE.items():
        for ends, wanted in table.items():

            def check(run_if: str = run_if, ends: str = ends, wanted: str = wanted) -> None:
                made = simulated(f"{TWO}, run_if: {run_if}", {"a": ends[0], "b": ends[1]})
                assert made.units["c"] == RESULT[wanted]

            said = f"one {WORDS[ends[0]]}, one {WORDS[ends[1]]}"
            yield Case("Run if", f"{run_if}, {said}: the task is {RESULT[wanted]}", RUN_IF, check)

    def excluded_counts() -> None:
        tasks = SPLIT % "1" + "\ntask_key: c, depends_on: [{task_key: yes}, {task_key: no}]"
        assert simulated(tasks).units["c"] == "SUCCESS"

    def all_excluded() -> None:
        tasks = SPLIT % "1" + "\ntask_key: c, depends_on: [{task_key: no}], run_if: ALL_DONE"
        assert simulated(tasks).units["c"] == "EXCLUDED"

    def canceled_down() -> None:
        made = simulated("task_key: a\ntask_key: b, depends_on: [{task_key: a}]", cancel="a")
        assert made.units == {"a": "CANCELED", "b": "UPSTREAM_CANCELED"}

    def cleanup() -> None:
        tasks = "task_key: a\ntask_key: b, depends_on: [{task_key: a}], run_if: ALL_DONE"
        assert simulated(tasks, cancel="a").units["b"] == "SUCCESS"

    def handles() -> None:
        tasks = "task_key: a\ntask_key: b, depends_on: [{task_key: a}], run_if: ALL_FAILED"
        assert simulated(tasks, {"a": "F"}).state == "SUCCESS_WITH_FAILURES"

    def parallel() -> None:
        assert simulated(TWO).starts[:2] == ["a", "b"]

    def default() -> None:
        assert simulated(TWO, {"a": "F"}).units["c"] == "UPSTREAM_FAILED"

    for rule, check in {
        "an excluded dependency is treated as successful": excluded_counts,
        "if all dependencies are excluded, so is the task, whatever its run_if": all_excluded,
        "a canceled task passes it down: UPSTREAM_CANCELED": canceled_down,
        "a task that handles failure runs after a canceled one": cleanup,
        "a leaf that handles a failure makes the run SUCCESS_WITH_FAILURES": handles,
        "tasks without dependencies on each other start side by side": parallel,
        "without run_if it is ALL_SUCCESS": default,
    }.items():
        yield Case("Run if", rule, RUN_IF, check)


def _disabled() -> Iterator[Case]:
    tasks = TWO.replace("task_key: a\n", "task_key: a, disabled: true\n")
    for run_if, table in DISABLED_TABLE.items():
        for end, wanted in table.items():

            def check(run_if: str = run_if, end: str = end, wanted: str = wanted) -> None:
                assert simulated(f"{tasks}, run_if: {run_if}", {"b": end}).units["c"] == wanted

            rule = f"{run_if}, one disabled, one {WORDS[end]}: the task is {wanted}"
            yield Case("Disabled tasks", rule, DISABLED, check)

    def alone() -> None:
        made = simulated("task_key: a, disabled: true")
        assert (made.units["a"], made.state, made.starts) == ("DISABLED", "SUCCESS", [])

    def none_failed() -> None:
        both = tasks.replace("task_key: b\n", "task_key: b, disabled: true\n")
        assert simulated(f"{both}, run_if: NONE_FAILED").units["c"] == "DISABLED"

    yield Case("Disabled tasks", "a disabled task is not run and ends DISABLED", DISABLED, alone)
    yield Case("Disabled tasks", "NONE_FAILED, all disabled: DISABLED", DISABLED, none_failed)


def _conditions() -> Iterator[Case]:
    for (op, left, right), wanted in NUMBERS.items():

        def check(op: str = op, left: str = left, right: str = right, want: bool = wanted) -> None:
            line = f'task_key: if, condition_task: {{op: {op}, left: "{left}", right: "{right}"}}'
            made = simulated("\n".join([line, *(SPLIT % "1").splitlines()[1:]]))
            assert made.units["yes" if want else "no"] == "SUCCESS"
            assert made.units["no" if want else "yes"] == "EXCLUDED"

        yield Case("If/else", f"{left} {op} {right} is {str(wanted).lower()}", IF_ELSE, check)

    def text_number() -> None:
        from workflows.conditions import outcome

        refused(lambda: outcome("LESS_THAN", "x", "1"), "'x' is not a number")

    def outcome_of_other() -> None:
        tasks = 'task_key: a\ntask_key: b, depends_on: [{task_key: a, outcome: "true"}]'
        refused(lambda: simulated(tasks), "is no condition_task")

    def both_outcomes() -> None:
        made = simulated(SPLIT % "2")
        assert (made.units["yes"], made.units["no"], made.state) == (
            "EXCLUDED",
            "SUCCESS",
            "SUCCESS",
        )

    def without_outcome() -> None:
        tasks = (SPLIT % "2").splitlines()[0] + "\ntask_key: b, depends_on: [{task_key: if}]"
        assert simulated(tasks).units["b"] == "SUCCESS"

    for rule, made in {
        "an operator of numbers refuses a text": text_number,
        "outcome may stand on a dependency on a condition only": outcome_of_other,
        "the branch that is not taken is excluded and the run succeeds": both_outcomes,
        "a dependency on a condition without an outcome is met by either": without_outcome,
    }.items():
        yield Case("If/else", rule, IF_ELSE, made)


def _loops() -> Iterator[Case]:
    def each() -> None:
        made = simulated(LOOP % ("[1, 2, 3]", 1))
        assert made.starts == ["l", "l[0]", "l[1]", "l[2]"]

    def failed() -> None:
        made = simulated(LOOP % ("[1, 2, 3]", 1), {"l[1]": "F"})
        assert (made.units["l"], made.units["l[2]"]) == ("FAILED", "SUCCESS")

    def default_concurrency() -> None:
        tasks = (LOOP % ("[1, 2]", 1)).replace(", concurrency: 1", "")
        assert simulated(tasks).state == "SUCCESS"

    def limit() -> None:
        refused(lambda: simulated(LOOP % ("[1]", 101)), "concurrency must be from 1 to 100")

    def nested() -> None:
        inner = (LOOP % ("[1]", 1)).removeprefix("task_key: l, ")
        tasks = (LOOP % ("[1]", 1)).replace("spark_python_task: {python_file: a.py}", inner)
        refused(lambda: simulated(tasks), "unnest them")

    def not_an_array() -> None:
        refused(lambda: simulated(LOOP % ("5", 1)), "inputs must be a JSON array")

    def from_value() -> None:
        tasks = "task_key: a\n" + (LOOP % ("{{tasks.a.values.n}}", 2)).replace(
            "task_key: l,", "task_key: l, depends_on: [{task_key: a}],"
        )
        made = simulated(tasks, values={"a": {"n": ["x", "y"]}})
        assert made.units["l[1]"] == "SUCCESS"

    def empty() -> None:
        assert simulated(LOOP % ("[]", 1)).state == "SUCCESS"

    def too_many() -> None:
        refused(lambda: simulated(LOOP % (str([0] * 5001), 1)), "a loop takes at most 5,000")

    def retried() -> None:
        tasks = (LOOP % ("[1]", 1)).replace("task_key: i,", "task_key: i, max_retries: 1,")
        assert simulated(tasks, {"l[0]": "FS"}).state == "SUCCESS"

    for rule, check in {
        "the nested task runs once for each input": each,
        "a failed iteration fails the loop, the others run": failed,
        "without concurrency iterations run one after the other": default_concurrency,
        "concurrency is at most 100": limit,
        "a loop may not be in a loop": nested,
        "inputs are a JSON array": not_an_array,
        "inputs may be a task value": from_value,
        "no inputs: the loop succeeds": empty,
        "at most 5,000 inputs": too_many,
        "retries of the nested task are those of each iteration": retried,
    }.items():
        yield Case("For each", rule, FOR_EACH, check)


def _attempts() -> Iterator[Case]:
    def retried() -> None:
        assert simulated("task_key: a, max_retries: 2", {"a": "FFS"}).starts == ["a"] * 3

    def ends() -> None:
        assert simulated("task_key: a, max_retries: 1", {"a": "F"}).units["a"] == "FAILED"

    def none() -> None:
        assert simulated("task_key: a", {"a": "F"}).starts == ["a"]

    def endless() -> None:
        assert simulated("task_key: a, max_retries: -1", {"a": "F" * 20 + "S"}).state == "SUCCESS"

    def interval() -> None:
        tasks = "task_key: a, max_retries: 1, min_retry_interval_millis: 90000"
        assert simulated(tasks, {"a": "FS"}, after=30).seconds == 90 + 30

    def timeout() -> None:
        made = simulated("task_key: a, timeout_seconds: 60, max_retries: 3", {"a": "slow"})
        assert (made.units["a"], made.starts, made.seconds) == ("TIMEDOUT", ["a"], 60)

    def timeout_again() -> None:
        tasks = "task_key: a, timeout_seconds: 60, max_retries: 1, retry_on_timeout: true"
        assert simulated(tasks, {"a": "slow"}).starts == ["a", "a"]

    def no_limit() -> None:
        assert simulated("task_key: a, timeout_seconds: 0", after=1e6).state == "SUCCESS"

    for rule, check in {
        "a failed task is tried again max_retries times": retried,
        "after max_retries it has failed": ends,
        "without max_retries it is tried once": none,
        "max_retries -1 is without end": endless,
        "min_retry_interval_millis counts from the start of the failed attempt": interval,
        "a task over timeout_seconds ends TIMEDOUT and is not tried again": timeout,
        "retry_on_timeout tries a task again that timed out": timeout_again,
        "timeout_seconds 0 is no limit": no_limit,
    }.items():
        yield Case("Retries and timeouts", rule, TASK, check)


def _runs() -> Iterator[Case]:
    chain = "task_key: a\ntask_key: b, depends_on: [{task_key: a}]"

    def timeout() -> None:
        made = simulated(chain, {"a": "slow"}, job="timeout_seconds: 60")
        assert (made.state, made.units) == ("TIMEDOUT", {"a": "TIMEDOUT", "b": "CANCELED"})

    def canceled() -> None:
        made = simulated(chain, cancel="*")
        assert (made.state, set(made.units.values())) == ("CANCELED", {"CANCELED"})

    def succeeded() -> None:
        assert simulated(chain).state == "SUCCESS"

    def leaf_failed() -> None:
        assert simulated(chain, {"b": "F"}).state == "FAILED"

    def other_failed() -> None:
        assert simulated(chain + ", run_if: ALL_DONE", {"a": "F"}).state == "SUCCESS_WITH_FAILURES"

    def repaired() -> None:
        made = simulated(chain, {"b": "F"}, repair={})
        assert (made.state, made.starts) == ("SUCCESS", ["b"])

    def repaired_down() -> None:
        tasks = chain + "\ntask_key: c\ntask_key: d, depends_on: [{task_key: b}, {task_key: c}]"
        assert simulated(tasks, {"a": "F"}, repair={}).starts == ["a", "b", "d"]

    def repaired_again() -> None:
        assert simulated(chain, {"a": "F"}, repair={"a": "F"}).state == "FAILED"

    def repaired_loop() -> None:
        made = simulated(LOOP % ("[1, 2, 3]", 1), {"l[1]": "F"}, repair={})
        assert (made.state, made.starts) == ("SUCCESS", ["l", "l[1]"])

    for rule, page, check in (
        ("a run over the job's timeout_seconds ends TIMEDOUT, tasks with it", JOB, timeout),
        ("a canceled run ends CANCELED with all that had not ended", JOB, canceled),
        ("all tasks succeeded: the run is SUCCESS", RUN_IF, succeeded),
        ("a leaf failed: the run is FAILED", RUN_IF, leaf_failed),
        ("some failed, all leaves succeeded: SUCCESS_WITH_FAILURES", RUN_IF, other_failed),
        ("repair runs failed tasks and not those that succeeded", REPAIR, repaired),
        ("repair runs what depends on the failed tasks", REPAIR, repaired_down),
        ("a repaired run may fail again", REPAIR, repaired_again),
        ("repair of a loop runs its failed iterations", REPAIR, repaired_loop),
    ):
        yield Case("Runs", rule, page, check)

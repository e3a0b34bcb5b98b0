"""`lakehouse react` on a broker that is named on the command line, for the benchmarks."""

import sys
from contextlib import closing

from pipelines.io.lake import open_lake
from pipelines.io.session import spark_session
from pipelines.reacting import prepare, react, reactions_of, with_room
from pipelines.running import end_on_signals
from pipelines.settings import load_settings
from serving.reactions.counts import Counts
from serving.reactions.outbox import Outbox


def main() -> None:
    end_on_signals()
    root, servers = sys.argv[1:3]
    settings = load_settings(
        overrides={"root": root, "source.kafka.bootstrap_servers": servers,
                   "spark.driver_memory": "1g"}
    )  # fmt: skip
    reactions, webhooks = reactions_of(settings)
    state = open_lake(settings, create=True)
    settings = with_room(settings, prepare(settings))
    with closing(Outbox(state / "reactions" / "outbox.db")) as outbox:
        react(
            spark_session(settings), settings, reactions, webhooks, Counts(), outbox,
            ready=lambda: print("ready", flush=True),
        )  # fmt: skip


if __name__ == "__main__":
    main()

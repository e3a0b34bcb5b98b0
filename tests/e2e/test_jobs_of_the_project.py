"""A job of the project's own bundle, as `lakehouse run` runs it: real Spark, one JVM for all."""

from pathlib import Path

from given import event

from pipelines.settings import Settings, load_settings
from pipelines.workflow_commands import BUNDLE, bundle_for, options_for
from workflows.runner import run_job


def test_shop_refreshes_its_views_one_by_one_in_one_jvm(lake: Settings, take_in) -> None:
    take_in(lake, [event("purchase", 1), event("price_change", 2), event("inventory_change", 3)])
    settings = load_settings(overrides={"root": lake.root})
    run = run_job(
        bundle_for(settings, BUNDLE, None, None),
        "shop",
        folder=settings.state / "workflows",
        options=options_for(settings, False, None),
    )
    states = {task.key: str(task.state) for task in run.tasks}
    assert states == {
        **{f"each_view[{number}]": "SUCCESS" for number in range(4)},
        "each_view": "SUCCESS",
        "publish": "SUCCESS",
    }, run
    started = (settings.state / "workflows" / "spark.log").read_text()
    assert started.count("Setting default log level") == 1
    assert (Path(lake.root) / "gold" / "current_prices" / "_delta_log").is_dir()

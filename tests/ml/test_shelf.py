"""Folders of models: never written anew while they may be read, replaced if damaged, tidied."""

import os
from pathlib import Path

import pytest
from given_model import some_model

from ml.shelf import store_once, tidy
from serving.recommender.model import load_model


def test_a_folder_that_holds_the_model_is_left_as_it_is(tmp_path: Path) -> None:
    digest = some_model().save(tmp_path / "elsewhere")
    store_once(tmp_path, "1", some_model(), digest)
    written = {file.name: file.stat().st_ino for file in (tmp_path / "1").iterdir()}
    mapped = load_model(tmp_path / "1", digest)
    store_once(tmp_path, "1", some_model(), digest)
    assert {file.name: file.stat().st_ino for file in (tmp_path / "1").iterdir()} == written
    assert mapped.weights.sum() == pytest.approx(some_model().weights.sum())


def test_a_damaged_folder_is_replaced_and_who_reads_the_old_files_still_can(tmp_path: Path) -> None:
    digest = some_model().save(tmp_path / "1")
    mapped = load_model(tmp_path / "1", digest)
    (tmp_path / "1" / "leaves.npy").unlink()
    store_once(tmp_path, "1", some_model(), digest)
    assert load_model(tmp_path / "1", digest).leaves.shape == some_model().leaves.shape
    assert mapped.weights.sum() == pytest.approx(some_model().weights.sum())
    assert [folder.name for folder in tmp_path.iterdir()] == ["1"]


def test_what_is_served_and_the_newest_pair_of_the_others_are_kept(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "newer", "older", "served", "oldest", "both")):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    kept = {"served", "both", "new", "newer"}
    for _ in range(2):
        tidy(tmp_path, {"served", "both"}, kept=2)
        assert {folder.name for folder in tmp_path.iterdir()} == kept

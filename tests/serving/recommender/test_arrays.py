"""A model is read back as it was, or not at all."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from given_model import some_model

from pipelines.errors import ModelError
from serving.recommender.arrays import MANIFEST, load_arrays, save_arrays
from serving.recommender.model import load_model


def test_a_model_is_read_back_as_it_was(tmp_path: Path) -> None:
    model = some_model()
    digest = model.save(tmp_path)
    again = load_model(tmp_path)
    assert again.item_ids.tolist() == model.item_ids.tolist()
    assert np.array_equal(again.weights, model.weights)
    assert again.save(tmp_path / "copy") == digest


@pytest.mark.parametrize("name", ["weights", "item_ids", "leaves"])
def test_one_changed_byte_is_refused(tmp_path: Path, name: str) -> None:
    some_model().save(tmp_path)
    path = tmp_path / f"{name}.npy"
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    with pytest.raises(ModelError, match=rf"{name}.npy: its digest differs .* publish"):
        load_model(tmp_path)


def test_another_model_than_the_published_one_is_refused(tmp_path: Path) -> None:
    digest = some_model(1).save(tmp_path)
    assert load_model(tmp_path, digest).item_ids.size
    some_model(2).save(tmp_path)
    with pytest.raises(ModelError, match="another model than published"):
        load_model(tmp_path, digest)


def test_a_missing_array_or_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model there"):
        load_model(tmp_path)
    some_model().save(tmp_path)
    (tmp_path / "factors.npy").unlink()
    with pytest.raises(ModelError, match=r"factors.npy"):
        load_model(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"sha256": 3}', "{"])
def test_a_broken_manifest_is_refused(tmp_path: Path, text: str) -> None:
    some_model().save(tmp_path)
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match="no model there"):
        load_model(tmp_path)


def test_a_model_of_other_arrays_is_of_another_release(tmp_path: Path) -> None:
    save_arrays(tmp_path, {"item_ids": np.array(["a"])})
    with pytest.raises(ModelError, match=r"another release \(.*category"):
        load_model(tmp_path)


class _Touch:
    """What a pickle does when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_what_is_pickled_is_never_run_even_under_the_right_digest(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    folder = tmp_path / "model"
    save_arrays(folder, {"item_ids": np.array(["a"])})
    payload = pickle.dumps(_Touch(touched))
    (folder / "item_ids.npy").write_bytes(payload)
    import hashlib
    import json

    manifest = {"format": 1, "sha256": {"item_ids": hashlib.sha256(payload).hexdigest()}}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="not a plain array"):
        load_arrays(folder)
    assert not touched.exists()
    pickle.loads(payload)  # noqa: S301  it would have
    assert touched.exists()

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from curate import models
from curate.errors import ConfigError


@pytest.fixture(scope="module")
def tiny() -> models.Clip:
    return models.load("tiny", None)


def test_sizes_are_known_without_torch() -> None:
    code = (
        "import sys; from curate import models;"
        "assert [models.image_size(m) for m in ('tiny', 'ViT-B-32', 'ViT-L-14-336')] == [64, 224, 336];"
        "assert 'torch' not in sys.modules and 'open_clip' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_embeddings_have_length_one(tiny: models.Clip) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (70, 64, 64, 3), dtype=np.uint8)
    seen, read = tiny.images(pixels), tiny.texts(["a red circle", "a blue square", ""])
    assert seen.shape == (70, 64) and read.shape == (3, 64)
    assert seen.dtype == read.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(read, axis=1), 1, atol=1e-5)
    # What a row gets does not depend on its batch.
    np.testing.assert_allclose(tiny.images(pixels[65:66]), seen[65:66], atol=1e-5)


def test_nothing_in_nothing_out(tiny: models.Clip) -> None:
    assert tiny.images(np.zeros((0, 64, 64, 3), dtype=np.uint8)).shape == (0, 64)
    assert tiny.texts([]).shape == (0, 64)


def test_pictures_of_another_size_are_refused(tiny: models.Clip) -> None:
    with pytest.raises(ValueError, match="64"):
        tiny.images(np.zeros((1, 32, 32, 3), dtype=np.uint8))


def test_unknown_models_and_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ViT-B-32"):
        models.image_size("ViT-B32")
    with pytest.raises(ConfigError, match="no model config"):
        models.load(str(tmp_path / "absent.json"), "x")
    with pytest.raises(ConfigError, match="needs a checkpoint"):
        models.load("ViT-B-32", None)
    with pytest.raises(ConfigError, match="openai"):
        models.load("ViT-B-32", "openia")
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    with pytest.raises(ConfigError, match="embed_dim"):
        models.image_size(str(bad))


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    config = json.loads((models.TINY / "config.json").read_text())
    config["embed_dim"] = 32
    other = tmp_path / "other.json"
    other.write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="does not fit"):
        models.load(str(other), str(models.TINY / "weights.safetensors"))


def test_lengths_in_tokens() -> None:
    lengths = models.tokenize_lengths(["a red circle", "", "it's 2024!"])
    assert lengths.dtype == np.int64
    # Digits are single in CLIP's encoding: it, 's, 2, 0, 2, 4, !
    assert lengths.tolist() == [3, 0, 7]


def test_training_repeats_and_loads_by_the_same_door(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)
    texts = [f"number {index % 6}" for index in range(12)]
    config, losses = str(models.TINY / "config.json"), []
    options = models.Training(steps=2, batch=8, seed=5)
    for name in ("one.safetensors", "two.safetensors"):
        models.train(config, pixels, texts, options, tmp_path / name, lambda _, loss: losses.append(loss))
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    assert len(losses) == 4 and np.isfinite(losses).all()
    assert models.load(config, str(tmp_path / "one.safetensors")).texts(texts).shape == (12, 64)


def test_the_shipped_toy_is_small_and_measured() -> None:
    assert (models.TINY / "weights.safetensors").stat().st_size < 8_000_000
    metrics = json.loads((models.TINY / "metrics.json").read_text())
    assert metrics["captions"]["auc"] >= 0.95 and metrics["crops"]["auc"] >= 0.95

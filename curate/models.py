"""The door to torch and open_clip: pictures and texts go in, numpy arrays come out."""

import functools
import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from curate.errors import ConfigError, OutsideError, nearest

# torch takes seconds and 300 MB to import: the half of a scorer that only prepares pictures asks this file
# for an image size, and should pay for no more than that.
if TYPE_CHECKING:
    import torch

Pictures = npt.NDArray[np.uint8]
"""RGB pictures, shape (N, S, S, 3), S being `image_size` of the model."""
Vectors = npt.NDArray[np.float32]
"""Embeddings, shape (N, D), each of length 1."""

TINY = Path(__file__).parent / "demo" / "tiny_clip"
BATCH = 64


@dataclass(frozen=True, slots=True)
class Training:
    """How a small model is trained: `seed` fixes the weights and the order, `threads` are CPU threads."""

    steps: int
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    seed: int = 0
    threads: int = 1


class Clip:
    """A loaded model in evaluation mode; `image_size` is the side in pixels of the pictures that it takes."""

    def __init__(self, network: Any, tokenizer: Any, config: dict[str, Any], device: str) -> None:
        self._network, self._tokenizer, self._device = network, tokenizer, device
        self._dim = int(config["embed_dim"])
        self.image_size = _side(config)

    def images(self, pixels: Pictures) -> Vectors:
        """Return the embedding (N, D) of every picture (N, S, S, 3); ValueError for another shape."""
        side = self.image_size
        if pixels.ndim != 4 or pixels.shape[1:] != (side, side, 3):
            raise ValueError(f"pictures must be (N, {side}, {side}, 3), not {pixels.shape}")
        return self._embed(self._network.encode_image, self._normalised, pixels)

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Return the embedding (N, D) of every text; what exceeds the model's context is cut off."""
        return self._embed(self._network.encode_text, lambda part: self._tokenizer(list(part)), texts)

    def _normalised(self, pixels: Pictures) -> "torch.Tensor":
        preprocess = self._network.visual.preprocess_cfg
        return _normalised(pixels, preprocess["mean"], preprocess["std"])

    def _embed(
        self, encode: Callable[..., Any], tensor: Callable[[Any], Any], things: Pictures | Sequence[str]
    ) -> Vectors:
        import torch

        out = np.zeros((len(things), self._dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(things), BATCH):
                part = tensor(things[start : start + BATCH]).to(self._device)
                out[start : start + BATCH] = encode(part, normalize=True).float().cpu().numpy()
        return out


def image_size(model: str) -> int:
    """Return the side in pixels of the pictures that `model` takes, without building it.

    ConfigError for an unknown model.
    """
    return _side(_config(_config_path(model)))


def load(model: str, checkpoint: str | None, device: str | None = None) -> Clip:
    """Return a model ready to score.

    `model` is an architecture of open_clip, the path of a JSON file in the form of its `model_configs`, or
    `tiny`: the toy that comes with curate, which needs no checkpoint. `checkpoint` is a path or one of
    open_clip's pretrained tags. `device` is cuda where there is one, unless given.
    ConfigError for an unknown model or checkpoint; OutsideError when the weights of a tag cannot be fetched.
    """
    import torch
    from open_clip.factory import create_model_and_transforms, get_tokenizer

    config_path = _config_path(model)
    if model == "tiny":
        checkpoint = str(TINY / "weights.safetensors")
    name = _register(config_path)
    quick_gelu = _check_checkpoint(name, checkpoint)
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if chosen == "cpu":
        # Several workers share a machine: each keeps to the one core that it asked for.
        torch.set_num_threads(1)
    try:
        network, _, _ = create_model_and_transforms(
            name, pretrained=checkpoint, device=chosen, force_quick_gelu=quick_gelu, weights_only=True
        )
    except (RuntimeError, OSError) as error:
        if "download" in str(error):
            raise OutsideError(f"weights {checkpoint!r} of model {model!r}: {error}") from error
        raise ConfigError(f"checkpoint {checkpoint!r} does not fit model {model!r}: {error}") from error
    network.eval()
    return Clip(network, get_tokenizer(name), _config(config_path), chosen)


def tokenize_lengths(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the number of CLIP's byte-pair tokens of each text, (N,), without start, end and padding."""
    encode = _encoder()
    return np.array([len(encode(text)) for text in texts], dtype=np.int64)


def train(
    model: str,
    pixels: Pictures,
    texts: Sequence[str],
    options: Training,
    out: Path,
    on_step: Callable[[int, float], None] | None = None,
) -> None:
    """Train `model` from nothing on pairs of picture and text; write float16 safetensors to `out`.

    Symmetric InfoNCE as in CLIP (Radford et al., 2021), where all pictures with an equal text are positives
    of it. `on_step(step, loss)` is called after every step.
    """
    import torch
    from open_clip.factory import create_model_and_transforms, get_tokenizer

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    name = _register(_config_path(model))
    network, _, _ = create_model_and_transforms(name)
    different, which = np.unique(np.array(texts), return_inverse=True)
    tokens = get_tokenizer(name)(different.tolist())
    optimiser, schedule = _optimiser(network, options)
    preprocess = network.visual.preprocess_cfg
    rng = np.random.default_rng(options.seed)
    network.train()
    for step in range(options.steps):
        chosen = rng.choice(len(pixels), options.batch, replace=False)
        pictures = _normalised(pixels[chosen], preprocess["mean"], preprocess["std"])
        present, label = np.unique(which[chosen], return_inverse=True)
        loss = _contrastive(network, pictures, tokens[present], torch.from_numpy(label))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            # CLIP's bound: a scale above 100 makes training unstable.
            network.logit_scale.clamp_(0, float(np.log(100)))
        if on_step:
            on_step(step, loss.item())
    _save(network, tokens, out)


def _contrastive(network: Any, pictures: "torch.Tensor", tokens: "torch.Tensor", label: "torch.Tensor") -> Any:
    import torch

    seen, read = network.encode_image(pictures, normalize=True), network.encode_text(tokens, normalize=True)
    logits = network.logit_scale.exp() * seen @ read.T
    # Texts differ from one another here, pictures of one text share its column.
    share = torch.nn.functional.one_hot(label, len(tokens)).float()
    share = share / share.sum(dim=0)
    loss = torch.nn.functional.cross_entropy
    return (loss(logits, label) + loss(logits.T, share.T)) / 2


def _optimiser(network: Any, options: Training) -> tuple[Any, Any]:
    import torch

    # Norms, biases, embeddings and the temperature are not decayed, as in CLIP.
    decayed: list[Any] = []
    free: list[Any] = []
    for name, parameter in network.named_parameters():
        matrix = parameter.ndim >= 2 and "embedding" not in name
        (decayed if matrix else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": free, "weight_decay": 0.0}]
    rate = options.learning_rate
    optimiser = torch.optim.AdamW(groups, lr=rate)
    # The rate rises over the first 8 % of the steps and then falls to nothing.
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, options.steps, pct_start=0.08)
    return optimiser, schedule


def _save(network: Any, tokens: Any, out: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state = {}
    for name, value in network.state_dict().items():
        state[name] = (value.half() if value.is_floating_point() else value).contiguous().clone()
    # Rows of tokens that no text had are still noise from the start: as zeros they compress away.
    unseen = torch.ones(len(state["token_embedding.weight"]), dtype=torch.bool)
    unseen[tokens.unique()] = False
    state["token_embedding.weight"][unseen] = 0
    save_file(state, str(out))
    # safetensors makes it readable by its owner alone.
    out.chmod(0o644)


def _normalised(pixels: Pictures, mean: Sequence[float], std: Sequence[float]) -> "torch.Tensor":
    import torch

    scaled = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
    return (scaled - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def _config_path(model: str) -> Path:
    if model == "tiny":
        return TINY / "config.json"
    if model.endswith(".json"):
        if not Path(model).is_file():
            raise ConfigError(f"there is no model config {model!r}")
        return Path(model)
    path = _shipped() / f"{model}.json"
    if not path.is_file():
        known = ["tiny", *(file.stem for file in _shipped().glob("*.json"))]
        raise ConfigError(f"there is no model {model!r}", hint=nearest(model, known))
    return path


def _shipped() -> Path:
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise ConfigError("open_clip is not installed")
    return Path(spec.origin).parent / "model_configs"


def _config(path: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(f"not a model config: {error}", file=str(path)) from error
    if not {"embed_dim", "vision_cfg", "text_cfg"} <= config.keys():
        raise ConfigError("a model config needs embed_dim, vision_cfg and text_cfg", file=str(path))
    return config


def _side(config: dict[str, Any]) -> int:
    # 224 is open_clip's own default (CLIPVisionCfg).
    size = config["vision_cfg"].get("image_size", 224)
    return int(size[0] if isinstance(size, list) else size)


def _register(path: Path) -> str:
    from open_clip.factory import add_model_config

    if path.parent != _shipped():
        add_model_config(path)
    return path.stem


def _check_checkpoint(name: str, checkpoint: str | None) -> bool:
    """Tell whether the weights want QuickGELU; ConfigError when there are no such weights."""
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    if checkpoint is None:
        raise ConfigError(f"model {name!r} needs a checkpoint: a path or a pretrained tag")
    tags = list_pretrained_tags_by_model(name)
    if checkpoint in tags:
        # open_clip only warns when a tag was trained with another activation than the architecture's.
        return bool(get_pretrained_cfg(name, checkpoint).get("quick_gelu", False))
    if not Path(checkpoint).is_file():
        raise ConfigError(f"there is no checkpoint {checkpoint!r} of {name!r}", hint=nearest(checkpoint, tags))
    return False


@functools.cache
def _encoder() -> Callable[[str], list[int]]:
    from open_clip.tokenizer import SimpleTokenizer

    encode: Callable[[str], list[int]] = SimpleTokenizer().encode
    return encode

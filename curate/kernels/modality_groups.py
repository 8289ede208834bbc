"""LLaVA's own order of samples, group_by_modality_length, to the last index: for runs that must repeat theirs.

haotian-liu/LLaVA llava/train/llava_trainer.py, as All-Seeing v2 and LLaVA-NeXT ship it. It balances whole words and
counts no picture; `balance` does better, this does the same.
"""

from collections.abc import Callable, Sequence

Permute = Callable[[int], Sequence[int]]
"""A permutation of so many: `torch.randperm(n).tolist()` of the generator that the trainer would use."""


def modality_length(values: Sequence[str], pictured: bool) -> int:
    """Return the length of a sample as LLaVA counts it: words between white space, negative without a picture."""
    words = sum(len(value.split()) for value in values)
    return words if pictured else -words


def modality_groups(lengths: Sequence[int], batch: int, world: int, inner: Permute, outer: Permute) -> list[int]:
    """Return the indices of samples in the order that the trainer's sampler gives them.

    Args:
        lengths: of each sample, positive with a picture and negative without.
        batch: samples of one device in one step.
        world: devices times the steps that gradients are accumulated over.
        inner: shuffles each modality, with torch's global generator; called for pictures first, then for text.
        outer: shuffles the batches, with the sampler's generator; with one modality alone, the samples.

    Raises:
        ValueError: a length of 0, which the trainer refuses.
    """
    if not all(lengths):
        raise ValueError("a sample without words has no length")
    pictured = [index for index, length in enumerate(lengths) if length > 0]
    texts = [index for index, length in enumerate(lengths) if length < 0]
    if not pictured or not texts:
        return _grouped(lengths, batch, world, outer)
    whole, last = [], []
    for indices in (pictured, texts):
        order = _grouped([abs(lengths[index]) for index in indices], batch, world, inner)
        batches = _cut([indices[place] for place in order], world * batch)
        whole += batches[:-1]
        last += batches[-1]  # even a full one: both remainders make the one mixed batch
    return [index for place in outer(len(whole)) for index in whole[place]] + sorted(last)


def _grouped(lengths: Sequence[int], batch: int, world: int, permute: Permute) -> list[int]:
    out: list[int] = []
    for group in _cut(list(permute(len(lengths))), world * batch):
        for part in _shared(sorted(group, key=lambda index: -lengths[index]), lengths, world):
            out += part
    return out


def _cut(indices: list[int], size: int) -> list[list[int]]:
    return [indices[begin : begin + size] for begin in range(0, len(indices), size)]


def _shared(indices: list[int], lengths: Sequence[int], world: int) -> list[list[int]]:
    """Give each index to the part with the smallest sum that is not full; strided where they do not divide."""
    if len(indices) % world:
        return [indices[part::world] for part in range(world)]
    parts: list[list[int]] = [[] for _ in range(world)]
    sums: list[float] = [0.0] * world
    for index in indices:
        least = sums.index(min(sums))
        parts[least].append(index)
        sums[least] += lengths[index]
        if len(parts[least]) == len(indices) // world:
            sums[least] = float("inf")
    return parts

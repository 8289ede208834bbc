"""Picture tokens of named models, from the number of pictures alone."""

import numpy as np
import numpy.typing as npt

PICTURE_TOKENS = {"llava-1.5-336": 576, "text-only": 0}
"""Model → tokens per picture. LLaVA-1.5 and All-Seeing v2: CLIP ViT-L/14 at 336 px, (336 / 14)² = 576."""


def picture_tokens(model: str, pictures: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the picture tokens, (N,), of samples with `pictures` pictures each, (N,).

    Raises:
        KeyError: no such model.
    """
    return pictures * PICTURE_TOKENS[model]

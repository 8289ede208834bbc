"""Area averaging: every pixel of a picture goes into exactly one pixel of a smaller one, as a box filter has it."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

RGBX = npt.NDArray[np.uint8]
"""Pixels of shape (height, width, 4), the fourth channel unused."""
Band = Callable[[int, int], RGBX]
"""Rows `top` to `bottom` of a picture, as they were decoded."""

MOST = 256
"""How many times smaller a side may become: light is summed in 16 bits."""
_BAND = 1 << 17
"""Pixels averaged at once: they stay in the processor's cache, and no more than them is held beside the picture."""
_LANE = 65_535 // 255


def shrink(band: Band, source_wh: tuple[int, int], target_wh: tuple[int, int], scale: int = 1) -> RGBX:
    """Return the picture at `target_wh`, averaged over areas of `source_wh`.

    `band` may give the picture `scale` times smaller than `source_wh`, rounded up, as a JPEG can be decoded;
    areas still end where they end in the source, with a share of a pixel where they must. No side may become
    more than MOST times smaller.
    """
    (wide, high), last = target_wh, -(-source_wh[1] // scale)
    across, down = _edges(source_wh[0], wide), _edges(source_wh[1], high)
    # What a lane of 16 bits has no room for is shifted out of a row's sum before columns are summed.
    spare = max(0, (int(np.diff(across).max()) * int(np.diff(down).max()) - 1) // _LANE).bit_length()
    out = np.empty((high, wide, 4), np.uint8)
    share_across = np.repeat((1 << spare) / np.diff(across), 4).astype(np.float32)
    step = max(1, high * _BAND // (-(-source_wh[0] // scale) * last))
    for top in range(0, high, step):
        edges = down[top : top + step + 1]
        begin, end = int(edges[0]) // scale, min(-(-int(edges[-1]) // scale), last)
        rows = _rows(band(begin, end), edges - begin * scale, scale, spare)
        light = _columns(rows, across, scale).astype(np.float32)
        light *= share_across
        light *= (1 / np.diff(edges)).astype(np.float32)[:, None]
        light += np.float32(0.5)
        out[top : top + step] = light.astype(np.uint8).reshape(-1, wide, 4)
    return out


def _edges(source: int, target: int) -> npt.NDArray[np.int64]:
    """Return where areas begin, and the end: a pixel belongs where its centre lies."""
    return (2 * np.arange(target + 1, dtype=np.int64) * source + target) // (2 * target)


def _rows(pixels: RGBX, edges: npt.NDArray[np.int64], scale: int, spare: int) -> npt.NDArray[np.uint16]:
    """Sum rows between edges; shape (areas, width, 4)."""
    flat = pixels.reshape(len(pixels), -1)
    first, tallest = edges[:-1] // scale, int(np.diff(edges).max())
    kind = np.uint32 if tallest > _LANE else np.uint16
    sums = np.empty((len(first), flat.shape[1]), kind)
    for tap in range(-(-tallest // scale) + 1):
        begins = (first + tap) * scale
        shares = np.minimum(edges[1:], begins + scale) - np.maximum(edges[:-1], begins)
        for share in sorted(set(shares.tolist())):
            areas = np.flatnonzero(shares == share)
            if tap == 0:  # no area is without a share of its first row
                sums[areas if len(areas) < len(first) else slice(None)] = _times(
                    flat.take(first[areas], axis=0), share, kind
                )
            elif share > 0 and len(areas) == len(first):
                sums += _times(flat.take(first + tap, axis=0), share, kind)
            elif share > 0:
                sums[areas] += _times(flat.take(first[areas] + tap, axis=0), share, kind)
    if spare:
        sums += kind(1 << spare >> 1)
        sums >>= spare
    return sums.astype(np.uint16, copy=False).reshape(len(first), -1, 4)


def _times(pixels: RGBX, share: int, kind: type[np.uint16] | type[np.uint32]) -> npt.NDArray[np.unsignedinteger]:
    return pixels if share == 1 else pixels * kind(share)


def _columns(rows: npt.NDArray[np.uint16], edges: npt.NDArray[np.int64], scale: int) -> npt.NDArray[np.uint16]:
    """Sum columns between edges; shape (rows, areas x 4).

    The four lanes of a pixel are one number of 64 bits: sums up to an edge run over, their differences do not.
    """
    packed = rows.view(np.uint64)[:, :, 0]
    upto = np.empty((packed.shape[0], packed.shape[1] + 1), np.uint64)
    upto[:, 0] = 0
    np.cumsum(packed, axis=1, out=upto[:, 1:])
    whole, part = edges // scale, (edges % scale).astype(np.uint64)
    light = upto.take(whole, axis=1)
    if scale > 1:
        light *= np.uint64(scale)
        light += packed.take(whole, axis=1, mode="clip") * part
    return np.ascontiguousarray(light[:, 1:] - light[:, :-1]).view(np.uint16)

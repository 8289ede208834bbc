"""A span that cuts a word out of the text may make half a tag of what is left of it."""

import pytest

from curate.codecs import gvc, internvl, kosmos2, pink, qwen_vl, svit
from curate.errors import SampleError
from curate.sample import Grounded, Region


@pytest.mark.parametrize(
    ("codec", "text", "span"),
    [
        (pink, "a <local> x", (2, 6)),
        (gvc, "a <g_east> b", (2, 6)),
        (gvc, "a <segue> b", (6, 8)),
        (svit, "a <stone> b", (2, 5)),
        (svit, "a <education> b", (5, 8)),
        (qwen_vl, "a <refer> b", (6, 8)),
        (internvl, "a <boxer> b", (3, 6)),
        (kosmos2, "a </phrases> b", (10, 11)),
    ],
)
def test_half_a_tag_is_not_made(codec, text, span):
    start, end = span
    region = Region(text[start:end], ((0.1, 0.2, 0.3, 0.4),), start=start, end=end)
    with pytest.raises(SampleError, match=r"reserved_tag.* at character 2"):
        codec.encode(Grounded(text, (region,)), 100, 100)
    for at in range(len(text)):
        near = Region(text[at:], ((0.1, 0.2, 0.3, 0.4),), start=at, end=len(text))
        try:
            written = codec.encode(Grounded(text, (near,)), 100, 100)
        except SampleError as error:
            assert error.code == "reserved_tag"
        else:
            assert codec.decode(written, 100, 100).text == text

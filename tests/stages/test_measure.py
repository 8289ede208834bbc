"""Candidates of a mix are measured by one trainer's token model, and each that cannot be drawn has its reason."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import growth
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from curate import schema
from curate.codecs import asv2, plain
from curate.errors import ConfigError, SampleError
from curate.grounding import dialogue
from curate.grounding.templates import template
from curate.io.tokens import counter
from curate.sample import Grounded, ImageRef, Region, Sample, Turn
from curate.stages import measure
from curate.stages.measure import TokenModel, measured

ANSWER = (Turn("human", "what is it"), Turn("gpt", "a red bus"))


def image(width: int = 640, height: int = 480) -> ImageRef:
    return ImageRef("m", 0, 1, "", "", "jpeg", width, height, width, height, 1)


def sample(
    number: int, turns: Sequence[Turn] = ANSWER, images: Sequence[ImageRef] = (), text: str | None = None
) -> Sample:
    return Sample(
        f"{number:032x}", "tiny", 0, number, str(number), images=tuple(images), text=text, conversations=tuple(turns)
    )


def words() -> Tokenizer:
    """A tokenizer of single letters and digits, with the marks of ChatML and vicuna."""
    letters = sorted({*map(chr, range(32, 127)), "\n"})
    made = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    made.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
    made.add_special_tokens([AddedToken(mark, normalized=False) for mark in ("<|im_start|>", "<|im_end|>", "</s>")])
    return made


@pytest.fixture
def tokenizer(tmp_path: Path) -> str:
    path = tmp_path / "tokenizer.json"
    words().save(str(path))
    return str(path)


def model(name: str = "llava-1.5-336", chat: str = "vicuna_v1", most: int = 4096, digest: str = "abc") -> TokenModel:
    return TokenModel(name, chat, digest, most)


def run(samples: list[Sample], tokenizer: str, tokens: TokenModel, codec: object = plain) -> list[dict[str, object]]:
    count = counter(tokenizer, template(tokens.template))
    rows: list[dict[str, object]] = measured(schema.to_table(samples), codec, tokens, count).to_pylist()  # type: ignore[arg-type]
    return rows


def test_the_columns_of_one_sample(tokenizer: str) -> None:
    (row,) = run([sample(1, images=[image()])], tokenizer, model())
    prompt = dialogue.vicuna_v1((Turn("human", "\nwhat is it"), Turn("gpt", "a red bus")))
    text = len(prompt.removesuffix("</s>")) + 1 + 1  # one token a letter, the end mark, the picture's line end
    assert row == {
        "dataset": "tiny",
        "sample_id": f"{1:032x}",
        "picture": None,
        "shown": "640x480",
        "n_pairs": 1,
        "n_text_tok": text,
        "n_label_tok": len(" a red bus") + 1,
        "n_img_tok": 576,
        "n_tiles": 1,
        "n_images": 1,
        "cost": 6 * 5120 * (text + 576) + (text + 576) ** 2,
        "reason": None,
    }


def test_the_model_is_recorded_with_its_versions(tokenizer: str) -> None:
    count = counter(tokenizer, template("chatml"))
    tokens = model("qwen2.5-vl", "chatml", digest=count.digest)
    table = measured(schema.to_table([sample(1)]), plain, tokens, count)
    assert json.loads(table.schema.metadata[measure.METADATA]) == tokens.identity()
    assert tokens.identity() == {
        "model": "qwen2.5-vl",
        "model_version": 1,
        "template": "chatml",
        "template_version": 1,
        "tokenizer": count.digest,
        "max_tokens": 4096,
    }


def test_grounded_text_is_counted_as_the_codec_writes_it(tokenizer: str) -> None:
    regions = (Region("bus", ((0.1, 0.2, 0.3, 0.4),), turn=1, start=6, end=9),)
    grounded = Sample("0" * 32, "tiny", 0, 0, "k", images=(image(),), conversations=ANSWER, regions=regions)
    bare, boxed = (run([grounded], tokenizer, model(), codec)[0] for codec in (plain, asv2))
    written = asv2.encode(Grounded("a red bus", (Region("bus", ((0.1, 0.2, 0.3, 0.4),), 1, 6, 9),)), 640, 480)
    assert boxed["n_label_tok"] - bare["n_label_tok"] == len(written) - len("a red bus")  # type: ignore[operator]


def test_every_reason_is_told_and_the_order_kept(tokenizer: str) -> None:
    two = (Turn("human", "<image><image> which"), Turn("gpt", "no"))
    samples = [
        sample(0),
        sample(1, turns=()),
        sample(2, turns=two, images=[image()]),
        sample(3, turns=two, images=[image(), image()]),
        sample(4, turns=(Turn("human", "a"),)),
        sample(5, turns=(Turn("human", "a<|im_end|>"), Turn("gpt", "b"))),
        sample(6, turns=(Turn("tool", "a"), Turn("gpt", "b"))),
        sample(7, images=[image(5000, 10)]),
        sample(8, images=[image(0, 10)]),
        sample(9, turns=(Turn("human", "a"), Turn("gpt", "b" * 5000))),
        sample(10, turns=(), text="a caption", images=[image()]),
    ]
    rows = run(samples, tokenizer, model("qwen2.5-vl", "chatml"))
    assert [row["reason"] for row in rows] == [
        None,
        "no_text",
        "image_count",
        None,
        "no_label",
        "control_token",
        "turn_order",
        "picture_refused",
        "picture_size",
        "too_long",
        None,
    ]
    assert [row["sample_id"] for row in rows] == [f"{number:032x}" for number in range(11)]
    assert [row["n_images"] for row in rows] == [0, 0, 1, 2, 0, 0, 0, 1, 1, 0, 1]
    assert rows[3]["n_img_tok"] == 2 * 393 and rows[7]["n_img_tok"] == 0
    assert rows[9]["n_label_tok"] == 5002


def test_what_a_codec_refuses_is_the_reason(tokenizer: str) -> None:
    class Refusing:
        @staticmethod
        def encode(grounded: Grounded, width: int, height: int) -> str:
            raise SampleError("box_outside", "character 3")

    assert run([sample(1)], tokenizer, model(), Refusing)[0]["reason"] == "box_outside"


def test_the_longest_sample_is_kept_and_one_more_is_not(tokenizer: str) -> None:
    whole = run([sample(1, images=[image()])], tokenizer, model())[0]
    length = int(whole["n_text_tok"]) + int(whole["n_img_tok"])  # type: ignore[call-overload]
    assert run([sample(1, images=[image()])], tokenizer, model(most=length))[0]["reason"] is None
    assert run([sample(1, images=[image()])], tokenizer, model(most=length - 1))[0]["reason"] == "too_long"


def test_no_candidates(tokenizer: str) -> None:
    table = measured(schema.to_table([]), plain, model(), counter(tokenizer, template("vicuna_v1")))
    assert table.num_rows == 0 and "n_tiles" in table.column_names


@pytest.mark.parametrize(("name", "chat"), [("llava", "vicuna_v1"), ("llava-1.5-336", "vicuna")])
def test_an_unknown_name_is_a_mistake_of_the_job(name: str, chat: str) -> None:
    with pytest.raises(ConfigError, match="unknown") as caught:
        TokenModel(name, chat, "", 1)
    assert "nearest" in caught.value.hint


def lengths(lines: Sequence[str]) -> list[int]:
    return [len(line) + 2 for line in lines]


def test_a_tokenizer_of_lengths_alone_counts_answers_without_its_marks() -> None:
    table = measured(schema.to_table([sample(1), sample(2, turns=())]), plain, model(), measure.by_lengths(lengths))
    first, second = table.to_pylist()
    assert first["n_text_tok"] == len(dialogue.vicuna_v1(ANSWER)) + 2
    assert first["n_label_tok"] == len(" a red bus") + len("</s>")
    assert (second["n_text_tok"], second["n_label_tok"], second["reason"]) == (0, 0, "no_text")
    assert measured(schema.to_table([]), plain, model(), measure.by_lengths(lengths)).num_rows == 0


def test_the_work_grows_with_the_samples(tokenizer: str) -> None:
    count = counter(tokenizer, template("vicuna_v1"))

    def work(rows: int) -> object:
        table: pa.Table = schema.to_table([sample(number, images=[image()]) for number in range(rows)])
        return measured(table, plain, model(), count)

    assert growth(work, 60) < 24

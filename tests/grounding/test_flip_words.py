import contextlib

import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import SampleError
from curate.grounding import flip_words as module
from curate.grounding.flip_words import flip_words, flipped, flips_words
from curate.sample import Grounded, Region, Relation

WHYS = ("text", "directional", "coordinates", "unclear", "script", "language")


def flip(text):
    return flip_words(Grounded(text)).text


FLIPPED = [
    ("the man on the left", "the man on the right"),
    ("LEFT man", "RIGHT man"),
    ("Left guy's right arm", "Right guy's left arm"),
    ("guy on left in red", "guy on right in red"),
    ("from left to right", "from right to left"),
    ("left/right", "right/left"),
    ("left-handed batter, with his right hand up", "right-handed batter, with his left hand up"),
    ("in the right-hand corner", "in the left-hand corner"),
    ("leftmost, RIGHTMOST, leftward, rightwards", "rightmost, LEFTMOST, rightward, leftwards"),
    ("bottom left corner, top-right, upperleft", "bottom right corner, top-left, upperright"),
    ("Left: a dog. Right: a cat.", "Right: a dog. Left: a cat."),
    ("is left of the tree", "is right of the tree"),
    ("second from right", "second from left"),
    ("facing left, screen right", "facing right, screen left"),
    ("man on the right next to the dog", "man on the left next to the dog"),
    ("a bag left behind on the left", "a bag left behind on the right"),
    ("people on the right are right behind him", "people on the left are right behind him"),
    ("running clockwise", "running counterclockwise"),
    ("Counterclockwise or CLOCKWISE", "Clockwise or COUNTERCLOCKWISE"),
    ("狗在左边,猫在右边", "狗在右边,猫在左边"),
    ("right", "left"),
    ("Left-Hand side, LEFT-MOST, left-most", "Right-Hand side, RIGHT-MOST, right-most"),
    ("left- and right-hand sides", "right- and left-hand sides"),
    ("a café on the left of Москва", "a café on the right of Москва"),
    ("a man with cuff links on the left", "a man with cuff links on the right"),
    ("3 dogs on the left", "3 dogs on the right"),
    ("順時針", "逆時針"),
    ("the dog to the left, right?", "the dog to the right, right?"),
    ("it's right paw is raised", "it's left paw is raised"),
    ("the man at that right window", "the man at that left window"),
    ("raise that right arm", "raise that left arm"),
    ("he's right-handed", "he's left-handed"),
    ("she is right of the tree", "she is left of the tree"),
    ("the left part of the cake", "the right part of the cake"),
    ("the entire left half of it", "the entire right half of it"),
    ("left half of sandwich", "right half of sandwich"),
    ("his left paw print", "his right paw print"),
    ("with left eye closed", "with right eye closed"),
    ("the top right thing", "the top left thing"),
    ("the right wing of the plane", "the left wing of the plane"),
    ("五分钟后左边的人", "五分钟后右边的人"),
]


@pytest.mark.parametrize(("before", "after"), FLIPPED)
def test_what_changes(before, after):
    assert flip(before) == after
    assert flip(after) == before
    assert flips_words(before)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "right now, all right, right away",
        "copyright, bright, upright, leftover, alright",
        "the food left over",
        "human rights and the right to vote",
        "at a right angle to the wall",
        "He left the room",
        "the train has left",
        "two minutes left",
        "what is left in the box",
        "左派和右派",
        "左轮手枪",
        "五分钟",
        "十字路口",
        "左右两侧",
        "that's right, on the table",
        "in a right triangle",
        "the right honourable man",
        "a right of passage",
        "a dog left alone",
        "right next to the dog",
        "right in front of the house",
        "the right size",
        "that's right",
        "is it a dog, right?",
        "a peace sign",
        "she reads a book",
        "三个左右",
        "右左",
        "chain links on a fence",
        "golf links",
        "Москва, a big city",
        "5 µm",
        "a number of people",
        "2 dogs and 3 cats",
        "左邻右舍",
        "右派",
    ],
)
def test_what_stays(text):
    assert flip(text) == text
    assert not flips_words(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a shirt that says hello", "flip_text"),
        ("the cover reads we heart our customers", "flip_text"),
        ("a stop sign", "flip_text"),
        ("the word on the wall", "flip_text"),
        ("player number 7", "flip_text"),
        ("#23", "flip_text"),
        ("23", "flip_text"),
        ("it is 10:30", "flip_text"),
        ('a "red" car', "flip_text"),
        ("a “red” car", "flip_text"),
        ("the 'STOP' on it", "flip_text"),
        ("license plate", "flip_text"),
        ("写着字", "flip_text"),
        ("a clock tower", "flip_directional"),
        ("a MAP of the city", "flip_directional"),
        ("the nike logo", "flip_directional"),
        ("turn left here", "flip_directional"),
        ("a turn left sign", "flip_text"),
        ("the starboard rail", "flip_directional"),
        ("a wrist watch", "flip_directional"),
        ("the team's emblem", "flip_directional"),
        ("player with 7 on it", "flip_text"),
        ("a man wearing 23", "flip_text"),
        ("jersey with the 10", "flip_text"),
        ("the 42 bus", "flip_text"),
        ("room 101", "flip_text"),
        ("the number on his back", "flip_text"),
        ("地圖", "flip_directional"),
        ("guy on r", "flip_unclear"),
        ("r side", "flip_unclear"),
        ("the rt one", "flip_unclear"),
        ("rigth dog", "flip_unclear"),
        ("left_hand", "flip_unclear"),
        ("1left", "flip_unclear"),
        ("gauche et droite", "flip_language"),
        ("El perro a la Izquierda", "flip_language"),
        ("der Hund links im Bild", "flip_language"),
        ("il cane a destra", "flip_language"),
        ("собака слева от дома", "flip_script"),
        ("большой красный дом", "flip_script"),
        ("the word for it is слева", "flip_text"),
        ("it is слева in the picture of a dog", "flip_script"),
        ("كلب على اليسار", "flip_script"),
        ("קבוצה של אנשים", "flip_script"),
        ("犬が左にいる", "flip_script"),
        ("左側の犬", "flip_script"),
        ("おおきないぬ", "flip_script"),
        ("왼쪽에 있는 개", "flip_script"),
        ("สุนัขทางซ้าย", "flip_script"),
        ("σκύλος και γάτα", "flip_script"),
        ("बाईं ओर कुत्ता", "flip_script"),
        ("no right turn", "flip_directional"),
        ("a one-way street", "flip_directional"),
        ("at [0.1, 0.25, 0.3, 1.0]", "flip_coordinates"),
        ("<box>[[1, 2, 3, 4]]</box>", "flip_coordinates"),
        ("the cup left on the table", "flip_unclear"),
        ("a left-wing party", "flip_unclear"),
        ("the right place", "flip_unclear"),
        ("the left size", "flip_unclear"),
        ("lEfT man", "flip_unclear"),
        ("Right, that is a dog", "flip_unclear"),
    ],
)
def test_what_is_refused(text, code):
    with pytest.raises(SampleError) as caught:
        flip(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "text",
    [
        *("She left part of the cake uneaten", "They left most of the pizza", "The boy left half of his sandwich"),
        *("The dog left paw prints in the snow", "the hiker left boot prints", "The owner left window open"),
        *("A few slices left of the pizza", "What is left of the tree?", "the one that is left of the tree"),
        *("He ate and left crumbs", "He got up and then left.", "The other left the room", "The players left field"),
        *("The couple left hand in hand", "He left hand luggage", "left breadcrumbs with the man left most of it"),
        *("wearing the right gear", "the right equipment", "the right ingredients", "the right decision"),
        *("the right dress", "the right lens", "the right fit", "wearing the right boots", "the right man for it"),
        *("a right to protest", "have the right to speak", "a right of women", "he was in the right."),
        *("the dog is in the left", "right wing party", "far right extremists", "the right triangle"),
        *(
            "the train on the right track",
            "The little left dog",
            "that right (front) leg",
        ),
        *("all right dogs", "all right and left hands", "to it's right", "get right dog", "on the counter, clockwise"),
        *(
            "飞机的左翼",
            "人物身体左倾",
            "画面极左侧",
            "位于极右位置",
            "照片中男左女右",
            "鼠标左键",
            "左右分别是猫和狗",
            "左轮",
        ),
    ],
)
def test_what_may_not_be_a_side_is_refused(text):
    with pytest.raises(SampleError, match="flip_unclear"):
        flip(text)


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("directional", "闹钟 挂钟 鐘樓 一个钟 手表 手錶 单行道 左舵车 右舷 靠左行驶 校徽 罗盘"),
        ("text", "广告牌 标语 二维码 条形码 涂鸦 书法 10号球员 十号球员 写的是爱 《红楼梦》 5点30分 ‘爱’ 字母 名牌"),
    ],
)
def test_chinese_writing_and_what_is_wrong_in_a_mirror(code, texts):
    for text in texts.split():
        for place in (f"左边的{text}", f"{text}在右边"):
            with pytest.raises(SampleError, match=f"flip_{code}"):
                flip(place)


@pytest.mark.parametrize("text", ["cars drive on the left in the UK", "driving on the right", "right-hand traffic"])
def test_traffic_is_not_mirrored(text):
    with pytest.raises(SampleError, match="flip_directional"):
        flip(text)


@pytest.mark.parametrize(
    "written",
    [
        "dogs[0.1,0.2,0.3,0.4;0.5,0.6,0.7,0.8] on",
        "[[1e-05, 0.2,\n 0.3, 0.40000000000000002]]",
        "[1 2 3 4]",
        "<|box_start|>(10,20),(30,40)<|box_end|>",
        "<|object_ref_start|>",
        "at (0.5, 0.25)",
        "<loc0234>",
        "<loc_53>",
        "<patch_index_0044>",
        "<bin_7>",
        "<point x=1>",
        "{<10><20><30><40>}",
    ],
)
def test_coordinates_of_every_written_form_are_refused(written):
    with pytest.raises(SampleError, match="flip_coordinates"):
        flip(f"{written} the left dog")


@pytest.mark.parametrize(
    "spelled",
    [
        "anti clockwise",
        "anti-clockwise",
        "counter  clockwise",
        "counter\nclockwise",
        "counter - clockwise",
        "counter–clockwise",
    ],
)
def test_every_counterclockwise_becomes_clockwise(spelled):
    assert flip(f"runs {spelled}, left") == "runs clockwise, right"


def test_close_words_are_not_refused():
    for text in ("design", "sworded", "a number of people", "numbers of birds", "maple", "the dogs' owner's cat"):
        assert flip(text) == text


def test_spans_follow_and_phrases_are_cut_anew():
    text = "the right man left of the dog on the right"
    dog = text.index("dog")
    grounded = Grounded(
        text,
        (
            Region("the right man", ((0, 0, 1, 1),), start=0, end=13, score=0.5, tags=("x",), turn=3),
            Region("dog", (), start=dog, end=dog + 3),
            Region("right man", (), start=None, end=None),
            Region("Right Man", (), start=4, end=13),
            Region("", (), start=len(text), end=len(text)),
        ),
        (Relation("left of", (0,), (1,), start=14, end=21), Relation("next to", (0,), (1,))),
    )
    flipped = flip_words(grounded)
    assert flipped.text == "the left man right of the dog on the left"
    first, second, third, fourth, last = flipped.regions
    assert first == Region("the left man", ((0, 0, 1, 1),), start=0, end=12, score=0.5, tags=("x",), turn=3)
    assert flipped.text[second.start : second.end] == second.phrase == "dog"
    assert third.phrase == "left man"
    assert fourth.phrase == "Left Man"
    assert last.start == last.end == len(flipped.text)
    assert (flipped.relations[0].predicate, flipped.relations[0].start) == ("right of", 13)
    assert flipped.relations[1].predicate == "next to"
    assert flip_words(flipped) == grounded


@pytest.mark.parametrize("span", [(5, 9), (0, 6), (0, 99), (-1, 3), (9, 4)])
def test_a_span_that_cannot_follow_is_refused(span):
    grounded = Grounded("the right man", (Region("x", (), start=span[0], end=span[1]),))
    with pytest.raises(SampleError, match="bad_span"):
        flip_words(grounded)


vocabulary = [
    "left",
    "right",
    "Left",
    "RIGHT",
    "the",
    "a",
    "on",
    "to",
    "of",
    "has",
    "he",
    "is",
    "and",
    ",",
    ".",
    "?",
    "-",
    "hand",
    "behind",
    "next",
    "in",
    "front",
    "over",
    "what",
    "dog",
    "man",
    "'s",
    "now",
    "all",
    "leftmost",
    "bottom",
    "rightward",
    "size",
    "\n",
    "左",
    "右",
    "İ",
    "é",
]


@given(st.lists(st.sampled_from(vocabulary), max_size=12), st.sampled_from([" ", " ", ""]), st.data())
@settings(max_examples=60)
def test_twice_is_the_identity(words, gap, data):
    text = gap.join(words)
    ends = data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text))))
    start, end = min(ends), max(ends)
    grounded = Grounded(text, (Region(text[start:end], (), start=start, end=end),))
    try:
        once = flip_words(grounded)
    except SampleError as error:
        assert error.code in {"flip_unclear", "bad_span"}
        return
    assert once.regions[0].phrase == once.text[once.regions[0].start : once.regions[0].end]
    assert flip_words(once) == grounded


@given(st.text(max_size=80))
def test_any_text_flips_or_is_refused_by_a_known_code(text):
    try:
        assert flip(flip(text)) == text
    except SampleError as error:
        assert error.code in {f"flip_{why}" for why in WHYS}


@pytest.mark.parametrize(
    "unit",
    [
        "the quick brown fox is on the left of a lazy dog and that is all there is. ",
        "a ",
        "'",
        "[1, ",
        " ",
        "1",
        "é",
        "ж a ",
        "der links ",
        "a 1 ",
        "字",
    ],
)
def test_time_is_linear(unit):
    def attempt(size):
        with contextlib.suppress(SampleError):
            flip(unit * (size // len(unit)))

    assert growth(attempt, (10_000_000 if unit == "a " else 1_000_000) // 8) < 24


@pytest.mark.parametrize("unit", ["counter ", "anti\n", "<", "(1 ", "[1 2 ", "[1,1", "<loc", "左右 ", "大"])
def test_what_looks_like_a_hazard_takes_linear_time(unit):
    def attempt(size):
        with contextlib.suppress(SampleError):
            flip(unit * (size // len(unit)))

    assert growth(attempt, 20_000) < 24


@pytest.mark.parametrize("ends", ["counter clockwise", "[1,1,1,1]", "<|box", "左右分别"])
def test_a_long_blank_inside_a_hazard_takes_linear_time(ends):
    def attempt(size):
        with contextlib.suppress(SampleError):
            flip(ends[:7].replace(" ", "").join(["", " " * size, ends]))

    assert growth(attempt, 20_000) < 24


def test_every_pattern_is_searched_in_ascii_unless_it_is_none():
    for patterns in module._REFUSALS.values():
        for stem, pattern in patterns:
            assert stem or not pattern.pattern[0].isascii()


def test_the_verdicts_do_not_pile_up():
    for i in range(5000):
        flip(f"left man {i}")
    assert module.verdict.cache_info().currsize <= 4096


def test_swapped_words_are_counted():
    text = "the left man, right of the dog"
    outside, inside = Region("leftmost", ()), Region("left man", (), start=4, end=12)
    made, count = flipped(Grounded(text, (inside, outside), (Relation("right of", (0,), (1,)),)))
    assert made == flip_words(Grounded(text, (inside, outside), (Relation("right of", (0,), (1,)),)))
    assert count == 4
    assert flipped(Grounded("right now"))[1] == 0


def test_a_phrase_outside_the_text_is_judged_too():
    for phrase, code in (("the stop sign", "flip_text"), ("слева", "flip_script"), ("gauche", "flip_language")):
        with pytest.raises(SampleError) as caught:
            flip_words(Grounded("a dog", (Region(phrase, ()),)))
        assert caught.value.code == code


@pytest.mark.parametrize("text", ["собака и кошка", "شجرة", "a b ж ж ж"])
def test_a_script_is_named_by_its_place(text):
    with pytest.raises(SampleError, match=r"flip_script: \d of \d+ letters, first '.' at character \d|\d+ of"):
        flip(text)


def test_half_of_the_letters_is_not_most():
    assert flip("ab жж") == "ab жж"
    with pytest.raises(SampleError, match="flip_script"):
        flip("ab жжж")

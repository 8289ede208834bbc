"""The page as a whole: whatever the root holds, it is one inert file that says the numbers."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_world import World, phrase

from curate.errors import ConfigError
from curate.plugins import Project
from curate.report import page
from curate.report.album import Album
from curate.report.page import ReportOptions, write_report

HOSTILE = [
    "</script><script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "</style><style>body{display:none}</style>",
    "<svg onload=\"document.title='owned'\">",
    "javascript:document.title='owned'",
    "{{7*7}} ${7*7} {% raw %}",
    "\u202egnp.exe\u202c and \u2066isolates\u2069",
    "nul \0 esc \x1b bell \x07",
    "line\u2028separator\u2029end",
    "كلب بني على العشب on the left",
    "👩‍👩‍👧‍👦 family 🐕‍🦺",
    "x" * 100_000,
    "Z̷̡͓̬a̸͕͝l̶̛͙g̷̈́o̵",
    "a 'single' and \"double\" & ampersand",
]
WIDE = (0.1, 0.1, 0.7, 0.8)
SMALL = (0.2, 0.2, 0.4, 0.5)
MANY = ReportOptions(pictures=96)
GROUNDED_JOB = """
from: grounded
score: [clip_similarity, box_stats]
keep:
  has_boxes:
  aligned: {min_clip: 0.28}
  good_boxes: {min_area: 0.02, max_area: 0.9, max_out_of_frame: 0.1, max_duplicate_iou: 0.9, min_score: 0.5}
augment: [square_pad, hflip]
"""


def grounded_rows(world):
    text = "a brown dog on the left of a red ball"
    rows = []
    for n in range(24):
        regions = [phrase(text, "a brown dog", WIDE, SMALL), phrase(text, "brown dog on the left", WIDE)]
        regions.append(phrase(text, "a red ball", (0.5, 0.5, 0.52 + 0.01 * n, 0.7)))
        row = {"key": f"g{n}", "picture": world.picture(n), "text": text, "clip": 0.2 + 0.01 * n}
        rows.append({**row, "regions": regions if n % 6 else []})
    sign = "a stop sign beside a car"
    rows.append(
        {
            "key": "sign",
            "picture": world.picture(90),
            "text": sign,
            "clip": 0.4,
            "regions": [phrase(sign, "a stop sign", WIDE)],
        }
    )
    codes = (("http_404", "404"), ("http_404", "404"), ("deadline", "<b>20 s</b>"))
    rows += [{"key": f"f{n}", "url": f"https://h{n % 2}.example/{n}", "error": codes[n % 3]} for n in range(9)]
    rows.append({"key": "evil", "url": "https://<script>alert(1)</script>/", "error": ["<img onerror=1>", "</td>"]})
    return rows


def caption_rows(world):
    rows = [{"key": f"h{n}", "picture": world.picture(n), "text": text} for n, text in enumerate(HOSTILE)]
    turns = [["human", "what is it? \u202e"], ["gpt", "a dog <b>"]]
    talk = {"key": "talk", "picture": world.picture(99), "turns": turns}
    region = {"phrase": "a dog", "boxes": [list(WIDE)], "turn": 1, "start": 0, "end": 5}
    return [*rows, {**talk, "regions": [region]}, {"key": "mute", "picture": world.picture(98)}]


def mask_rows(world):
    many = [[0.005 * n, 0.2, 0.005 * n + 0.3, 0.9] for n in range(137)]
    return [
        {"key": "many", "picture": world.picture(1, 120, 40), "regions": [{"phrase": "", "boxes": many}]},
        {"key": "one", "picture": world.picture(2), "regions": [{"phrase": "", "boxes": [list(WIDE)]}]},
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("report"))
    world.dataset("captions", caption_rows(world))
    world.dataset("grounded", grounded_rows(world), shard_rows=20)
    world.dataset("masks", mask_rows(world))
    world.job("captions", "from: captions\n")
    world.job("grounded", GROUNDED_JOB)
    world.job("masks", "from: masks\nscore: [box_stats]\nkeep: {has_boxes: {}}\n")
    world.job(
        "mix",
        "mix:\n  pictures: {from: jobs/captions, epochs: 1}\n  grounded: {from: jobs/grounded, epochs: 2}\n"
        "  flipped: {from: jobs/grounded, derived: hflip, epochs: 1}\npack: {length: 2500}\n"
        f"tokens: {{tokenizer: {world.tokenizer()}}}\n",
    )
    for name in ("masks", "mix"):
        assert world.run(name).ok()
    return world


@pytest.fixture(scope="module")
def written(world):
    return write_report(world.root, world.project, MANY)


@pytest.fixture(scope="module")
def html(written):
    return Path(written.uri).read_text(encoding="utf-8")


class Page(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self._open = [], {"script": [], "style": []}, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open and self._open[-1] in self.texts:
            self.texts[self._open[-1]].append(data)


def test_where_it_lies(world, written, html):
    runs = sorted(path.name for path in Path(world.root, "runs").iterdir())
    assert Path(written.uri) == Path(world.root, "runs", runs[-1], "report.html")
    assert written.bytes == len(html.encode()) < 2_000_000
    assert written.pictures > 20


def test_it_asks_nothing_of_the_network_and_runs_one_script(html):
    found = Page(html)
    for tag, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        for name in ("src", "href", "xlink:href", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/jpeg;base64,")), (tag, attributes)
    assert len(found.texts["script"]) == len(found.texts["style"]) == 1
    assert "url(http" not in html and "@import" not in html


def test_the_policy_comes_first_and_names_style_and_script_by_hash(html):
    found = Page(html)
    head = [tag for tag, _ in found.tags].index("head")
    tag, attributes = found.tags[head + 1]
    assert (tag, attributes["http-equiv"]) == ("meta", "Content-Security-Policy")
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(found.texts[kind][0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in attributes["content"]
    assert attributes["content"].startswith("default-src 'none'; img-src data:;")


def test_hostile_captions_are_text(html):
    assert "&lt;/script&gt;&lt;script&gt;" in html and "&lt;svg onload=" in html
    assert "{{7*7}}" in html and "javascript:document" in html
    assert not re.findall("[\u202a-\u202e\u2066-\u2069\u2028\u2029\0\x1b\x07]", html)
    for code in ("U+202E", "U+2066", "U+0000", "U+001B", "U+2028"):
        assert f'<span class="cp">{code}</span>' in html
    assert "x" * 241 not in html and "x" * 240 + "…" in html
    assert "👩‍👩‍👧‍👦 family" in html and "كلب بني" in html
    assert "&lt;img onerror=1&gt;" in html and "&lt;b&gt;20 s" in html


def test_the_first_screen_says_the_numbers(html):
    assert "Kept 16 of 16 samples" in html and "Kept 2 of 2 samples" in html
    books = re.search(r"Kept (\d+) of 35 samples", html)
    assert books and 0 < int(books[1]) < 25
    assert html.count("Books balance.") == 4 and "NOT" not in html
    assert ">clip_similarity</span><b>≥ 0.28</b>" in html
    assert "box_too_small" in html and "http_404" in html


def test_a_dropped_card_says_what_was_measured(html):
    assert re.search(r"<b>clip_low</b> <span class=\"m\"[^>]*><span class=\"v\">0\.27</span> &lt; 0\.28", html)


def test_phrases_and_boxes_are_linked_by_their_regions(html):
    marked = '<span class="mark u0" data-r="0" tabindex="0">a </span><span class="mark u0" data-r="0">'
    assert marked + '<span class="mark u1" data-r="1" tabindex="0">brown dog</span></span>' in html
    assert '<path class="box k0" data-r="0 1"' in html


def test_the_hundred_largest_boxes_are_drawn(html):
    many = [card for card in html.split("<figure")[1:] if '<span class="plus">+37</span>' in card]
    assert many and all(card.count('class="box ') == 100 for card in many)


def test_children_stand_beside_their_parents(html):
    assert "<del>left</del><ins>right</ins>" in html
    assert "fill hatched" in html and 'class="filled"' in html
    assert "a stop sign beside a car" in html and "flip_text" in html


def test_the_mix_is_told(html):
    assert re.search(r"Mixed \d+ samples into \d+ packs", html)
    assert "no packing needs fewer than" in html and "CC BY 4.0" in html


def test_the_same_root_gives_the_same_page(world, html, tmp_path):
    again = write_report(world.root, world.project, MANY, str(tmp_path / "again.html"))
    assert Path(again.uri).read_text(encoding="utf-8") == html


def test_options(world, written, tmp_path):
    def size(name, options):
        return write_report(world.root, world.project, options, str(tmp_path / name))

    none = size("none.html", ReportOptions(pictures=0))
    assert none.pictures == 0 and "data:image" not in Path(none.uri).read_text()
    blurred = size("blur.html", ReportOptions(pictures=96, blur=True))
    assert blurred.pictures == written.pictures and blurred.bytes < written.bytes
    one = Path(size("one.html", ReportOptions(job="masks")).uri).read_text()
    assert "Kept 2 of 2 samples" in one and 'type="radio"' not in one


def test_thresholds_are_those_that_ran_wherever_the_project_is(tmp_path):
    """The page is written on another machine, which has no such filter, or another of the same name."""
    own = "select sample_id, case when c.clip_similarity < $lowest then 'too_low' end as reason from clip_similarity c"

    def rows(world):
        return [{"key": f"k{n}", "picture": world.picture(n), "text": "a dog", "clip": 0.1 * n} for n in range(4)]

    world = World(tmp_path / "project")
    (world.folder / "sql/filters").mkdir(parents=True)
    (world.folder / "sql/filters/mine.sql").write_text(own)
    world.dataset("few", rows(world))
    world.job("few", "from: few\nscore: [clip_similarity]\nkeep: {mine: {lowest: 0.15}}\n")
    assert world.run("few").ok()
    [manifest] = Path(world.root, "jobs/few").glob("*/manifest.json")
    assert json.loads(manifest.read_text())["facts"]["filters"] == {"mine": own}
    other = Project(str(tmp_path / "other"))
    (tmp_path / "other/sql/filters").mkdir(parents=True)
    (tmp_path / "other/sql/filters/mine.sql").write_text(own.replace("<", ">"))
    for number, each in enumerate((Project("/nowhere"), other, world.project)):
        made = write_report(world.root, each, ReportOptions(), str(tmp_path / f"{number}.html"))
        html = Path(made.uri).read_text(encoding="utf-8")
        assert ">clip_similarity</span><b>≥ 0.15</b>" in html and "too_low" in html


def test_a_full_album_says_so(world, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "Album", lambda root, blur: Album(root, blur, budget_bytes=10_000))
    made = write_report(world.root, world.project, ReportOptions(), str(tmp_path / "full.html"))
    assert 0 < made.pictures < 8
    assert "more were left out to keep it small" in Path(made.uri).read_text()


def test_nothing_to_report(world, tmp_path):
    with pytest.raises(ConfigError, match="nothing curated"):
        write_report(str(tmp_path), world.project, ReportOptions())
    with pytest.raises(ConfigError, match='"nope" has not run'):
        write_report(world.root, world.project, ReportOptions(job="nope"))


def small(tmp_path, rows, job="from: few\n"):
    world = World(tmp_path)
    world.dataset("few", rows(world))
    world.job("few", job)
    world.run("few")
    return world, Path(write_report(world.root, world.project, ReportOptions()).uri)


def test_one_sample(tmp_path):
    _, made = small(tmp_path, lambda world: [{"key": "a", "picture": world.picture(1), "text": "a dog"}])
    html = made.read_text()
    assert "Kept 1 of 1 samples" in html and "No sample was dropped." in html


def test_nothing_kept(tmp_path):
    job = "from: few\nscore: [clip_similarity]\nkeep: {aligned: {min_clip: 0.3}}\n"
    _, made = small(tmp_path, lambda world: [{"key": "a", "picture": world.picture(1), "text": "a", "clip": None}], job)
    html = made.read_text()
    assert "Kept 0 of 1 samples" in html and "No sample was kept." in html and "unscored" in html


def test_no_rows_at_all(tmp_path):
    world, made = small(tmp_path, lambda world: [{"key": "a", "picture": world.picture(1), "text": "a dog"}])
    record = made.parent / "run.json"
    run = json.loads(record.read_text())
    for books in run["jobs"][0]["books"]:
        books.update(rows_in=0, rows_out=0, lost={})
    record.write_text(json.dumps(run))
    html = Path(write_report(world.root, world.project, ReportOptions()).uri).read_text()
    assert "Kept 0 of 0 samples." in re.sub(r"\s*<[^>]+>", "", html) and "nan" not in html


def test_a_run_that_was_cut_off(tmp_path):
    world, made = small(tmp_path, lambda world: [{"key": "a", "picture": world.picture(1), "text": "a dog"}])
    (made.parent / "run.json").unlink()
    Path(world.root, "few/images/00000.tar").unlink()
    html = Path(write_report(world.root, world.project, ReportOptions()).uri).read_text()
    assert "cut off before its record" in html and "picture not shown" in html


def test_a_run_with_a_failed_shard(tmp_path):
    world, made = small(tmp_path, lambda world: [{"key": "a", "picture": world.picture(1), "text": "a dog"}])
    record = made.parent / "run.json"
    run = json.loads(record.read_text())
    run["failed"] = [{"dataset": "few", "shard": 3, "ok": False, "error": "filter: <boom>"}]
    record.write_text(json.dumps(run))
    html = Path(write_report(world.root, world.project, ReportOptions()).uri).read_text()
    assert "1 shard failed." in html and "few-00003  filter: &lt;boom&gt;" in html


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_browser_finds_nothing_to_complain_of(written, tmp_path):
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    more = "--disable-component-update --disable-sync --enable-logging=stderr --dump-dom"
    done = subprocess.run(
        [CHROMIUM, *flags.split(), *more.split(), f"--user-data-dir={tmp_path}", f"file://{written.uri}"],
        capture_output=True,
        timeout=300,
    )
    assert b"CONSOLE" not in done.stderr, done.stderr[-2000:]
    assert b"<title>owned" not in done.stdout and b"curate report</title>" in done.stdout

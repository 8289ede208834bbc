"""Puts the figures of build/bench/*.json into README.md, between the marks of its Performance section."""

import json
from pathlib import Path

from table import FOLDER, machine

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- figures: make bench readme -->", "<!-- end of figures -->"


def rows() -> list[str]:
    """Return the lines of the Markdown table, one per figure."""
    lines = [
        "| bench | case | figure | ours | compared with | floor | goal | met |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted(FOLDER.glob("*.json")):
        for row in json.loads(path.read_text()):
            ours, peer, floor = ("" if row[key] is None else _figure(row[key]) for key in ("ours", "peer", "floor"))
            met = {True: "yes", False: "no", None: ""}[row["met"]]
            figure = f"{row['metric']}, {row['unit']}"
            goal = row["goal"]
            lines.append(f"| {path.stem} | {row['case']} | {figure} | {ours} | {peer} | {floor} | {goal} | {met} |")
    return lines


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def main() -> None:
    """Rewrite the section in place."""
    text = README.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    commands = " ".join(f"bench-{path.stem}" for path in sorted(FOLDER.glob("*.json")))
    body = "\n".join([BEGIN, f"Taken on: {machine()}, by `make {commands}`.", "", *rows(), END])
    README.write_text(head + body + tail, encoding="utf-8")


if __name__ == "__main__":
    main()

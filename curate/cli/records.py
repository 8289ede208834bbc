"""The verbs that work on files of records made elsewhere: parse, call one function, print."""

from dataclasses import asdict
from typing import Annotated

from curate import exits
from curate.cli.app import Folder, Json, Quiet, app, place, project_at, typer

Images = Annotated[str | None, typer.Option(help="The folder, or s3://bucket/prefix, that the pictures lie under.")]


@app.command()
def lint(
    file: Annotated[str, typer.Argument(help="A JSON array, or JSON Lines, of records in LLaVA's or SVIT's form.")],
    dialect: Annotated[
        str | None, typer.Option(help="The written form of boxes: asv2, svit, llava …; by default told from the file.")
    ] = None,
    images: Images = None,
    fix: Annotated[str | None, typer.Option(help="Write the records here, with what is safe mended.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    limit: Annotated[int, typer.Option(min=0, max=1_000_000, help="Tell so many faults; all are counted.")] = 200,
    project: Folder = None,
    json: Json = False,
) -> None:
    """Name every fault of a file of records: tags, boxes, turns, <image>, ids, pictures.

    Examples:  curate lint as_mix_4m.json --images playground/data
               curate lint svit.json --dialect svit --fix mended.json
    """
    with exits.console(json) as console:
        from curate import lint as linting

        target = place(fix) if fix is not None else None
        found = linting.lint(file, project_at(project), dialect, images, target, limit, force)
        console.result({"schema": "curate.lint/1", **asdict(found)}, linting.as_text(found))
        raise typer.Exit(exits.FINDINGS if found.faults else exits.DONE)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="A JSON array, or JSON Lines, of records.")],
    to: Annotated[str, typer.Option("--to", help="The written form of boxes to make: asv2, qwen_vl …")],
    out: Annotated[str, typer.Option("--out", "-o", help="Where to write; JSON Lines where it ends with .jsonl.")],
    from_: Annotated[str, typer.Option("--from", help="The written form of boxes that is there: svit, llava …")],
    images: Images = None,
    instances: Annotated[str | None, typer.Option(help="COCO instances that annotation ids point into (GVC).")] = None,
    rejects: Annotated[
        str | None, typer.Option(help="Records that cannot be converted; else OUT.rejects.jsonl.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Reject what the new form would lose anything of.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read everything and count; write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    project: Folder = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the boxes of a file of records in another form; what cannot be converted is kept aside.

    Forms that are whole records get one for each turn with boxes, GVC with its annotations inside; other turns,
    questions among them, are left out and counted.

    Examples:  curate convert svit.json --from svit --to asv2 -o out.json --images playground/data
               curate convert in.jsonl --from asv2 --to qwen_vl -o out.jsonl --images pictures --strict
    """
    with exits.console(json, quiet) as console:
        from curate import convert as converting

        options = converting.Options(instances, strict, dry_run, force)
        found = converting.convert(source, out, from_, to, images, rejects, project_at(project), console, options)
        console.finish()
        console.result({"schema": "curate.convert/1", **asdict(found)}, converting.as_text(found))
        raise typer.Exit(exits.FINDINGS if found.rejected else exits.DONE)

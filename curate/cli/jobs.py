"""The verbs that work on jobs and roots: parse, call one function, print."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from curate import exits
from curate.cli.app import (
    ROOT,
    Address,
    Cpus,
    Folder,
    Job,
    Json,
    Quiet,
    Root,
    Runner,
    Verbose,
    app,
    place,
    project_at,
    typer,
)

if TYPE_CHECKING:
    from curate.console import Console
    from curate.plugins import Project


@app.command()
def run(
    job: Job,
    root: Root = ROOT,
    project: Folder = None,
    runner: Runner = "ray",
    address: Address = None,
    cpus: Cpus = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first rows of each dataset.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Fetch again what failed for a passing cause.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and plan; write nothing.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a job; do only what is not done yet.

    Examples:  curate run jobs/cc12m.yaml --limit 10000
               curate run jobs/grit.yaml --root s3://lab/curated --address ray://head:10001
               curate run jobs/cc12m.yaml --retry    (dead resolvers, 5xx, timeouts; never what is gone)
    """
    with exits.console(json, quiet, verbose) as console:
        from curate import pipeline, telling
        from curate.driver import Where

        _refuse(job, project_at(project, job), console)
        asked = pipeline.Run(place(root), project_at(project, job), Where(runner, address, cpus), limit, retry)
        if dry_run:
            told = pipeline.rehearse(job, asked)
            header = ("job", "dataset", "shards", "done", "rows", "again")
            text = telling.table(header, [tuple(row.values()) for row in told])
            console.result({"schema": "curate.dry-run/1", "datasets": told}, text)
            return
        exits.aside(console)
        result = pipeline.run(job, asked, console)
        console.finish()
        console.result({"schema": "curate.run/1", **asdict(result)}, telling.funnel(result))
        raise typer.Exit(exits.DONE if result.ok() else exits.FINDINGS)


def _refuse(job: str, project: "Project", console: "Console") -> None:
    """End here when the job has mistakes, all of them named; what only may go wrong is said."""
    from curate import check_warnings, checks

    mistakes = checks.check(job, project)
    if mistakes:
        console.errors(mistakes)
        raise typer.Exit(exits.CONFIG)
    for each in check_warnings.warnings(job, project):
        console.say(f"warning {each}")


@app.command()
def check(
    job: Job,
    project: Folder = None,
    probe: Annotated[int, typer.Option(min=0, max=100_000, help="Fetch so many random rows, tell the yield.")] = 0,
    json: Json = False,
) -> None:
    """Name every mistake in a job, in what it names and in the jobs it draws from; nothing is run.

    Of a mix also what it lacks on the disk: without a file it cannot run, without pictures some records are left out.

    Examples:  curate check jobs/grit.yaml
               curate check jobs/cc12m.yaml --probe 200
    """
    with exits.console(json) as console:
        from curate import check_warnings, checks, telling
        from curate import probe as probing
        from curate.mixes import inventory

        where = project_at(project, job)
        mistakes = checks.check(job, where)
        items = [] if mistakes else checks.items(job, where)
        told, text = telling.checked(job, mistakes, check_warnings.warnings(job, where), items)
        probed = probing.probe_all(job, where, probe) if probe and not mistakes else []
        body = {**told, "probes": [asdict(found) for found in probed]}
        console.result(body, "\n".join([text, *map(telling.probed, probed)]))
        raise typer.Exit(
            exits.CONFIG
            if mistakes or inventory.missing(items)
            else exits.FINDINGS
            if any(found.refused for found in probed) or any(item.state != "present" for item in items)
            else exits.DONE
        )


@app.command("list")
def list_names(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="datasets, sources, scorers, filters, augmenters, codecs, exporters, jobs, reports, models, templates"
        ),
    ] = None,
    project: Folder = None,
    json: Json = False,
) -> None:
    """List what there is of a kind, with what each is.

    Models and templates are what `tokens:` of a mix takes. Without a kind, the kinds that there are.

    Examples:  curate list scorers
               curate list jobs --project my-project
    """
    with exits.console(json) as console:
        from curate import listing, telling

        at = project_at(project)
        console.result(*telling.listed(kind or "kinds", listing.described(kind, at) if kind else listing.kinds(at)))


@app.command()
def sql(
    query: Annotated[str | None, typer.Option("--command", "-c", help="One query; without it, a prompt.")] = None,
    report: Annotated[str | None, typer.Option(help="A query of sql/reports by name: yield …")] = None,
    root: Root = ROOT,
    project: Folder = None,
    json: Json = False,
) -> None:
    """Ask DuckDB about a root; the views are ready: samples, boxes, decisions, curated, outcomes, failures …

    Examples:  curate sql -c "select dataset, status, error, count(*) from samples group by all"
               curate sql --report yield --root s3://lab/curated
    """
    with exits.console(json) as console:
        from curate import telling, views
        from curate.console import prompt

        query = views.report_query(report, project_at(project)) if report is not None else query

        warehouse = views.open_root(place(root), project_at(project))
        if query is None:
            raise typer.Exit(prompt(lambda text: telling.answered(warehouse.answer(text)), console))
        console.result(*telling.answered(warehouse.answer(query)))


@app.command()
def report(
    root: Root = ROOT,
    project: Folder = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Where to write the page; by default beside the last run.")
    ] = None,
    job: Annotated[str | None, typer.Option(help="One job alone; by default every job of the root.")] = None,
    pictures: Annotated[int, typer.Option(min=0, help="Pictures of each job; 0 for a page without.")] = 48,
    blur: Annotated[bool, typer.Option("--blur", help="Blur the pictures beyond recognition.")] = False,
    json: Json = False,
) -> None:
    """Write one self-contained HTML page: funnel, thresholds, kept and dropped pictures with boxes and reasons.

    Examples:  curate report
               curate report --root s3://lab/curated --to report.html
    """
    with exits.console(json) as console:
        from curate.report.page import ReportOptions, write_report

        options = ReportOptions(pictures=pictures, blur=blur, job=job)
        written = write_report(place(root), project_at(project), options, to and place(to))
        text = f"wrote {written.uri}   {written.bytes / 1e6:.1f} MB · self-contained · {written.pictures} pictures"
        console.result({"schema": "curate.report/1", **asdict(written)}, text)


@app.command()
def explain(
    sample: Annotated[str, typer.Argument(help="A sample_id, or its beginning.")],
    root: Root = ROOT,
    project: Folder = None,
    json: Json = False,
) -> None:
    """Tell a sample's whole journey: source row, fetch, every score, every verdict, children, mixes.

    Of a record of a file of others: the file, its place there, what is read there, its mixes.

    Examples:  curate explain 7c1f09
    """
    with exits.console(json) as console:
        from curate import journey

        found = journey.explain(place(root), project_at(project), sample)
        console.result({"schema": "curate.explain/1", **asdict(found)}, journey.as_text(found))


@app.command()
def doctor(
    root: Root = ROOT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look; set nothing aside.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read every table, picture and record of a root; set aside what is damaged, for the next run to make again.

    Examples:  curate doctor
               curate doctor --root s3://lab/curated --dry-run
    """
    with exits.console(json, quiet) as console:
        from curate import telling
        from curate.doctor import Doctor

        found = Doctor(place(root), not dry_run, console.say).examine()
        console.result({"schema": "curate.doctor/1", **asdict(found)}, telling.examined(found, dry_run))
        raise typer.Exit(exits.FINDINGS if found.findings else exits.DONE)


@app.command()
def export(
    job: Job,
    as_: Annotated[str, typer.Option("--as", help="An exporter: llava_json, webdataset …")] = "llava_json",
    codec: Annotated[
        str | None, typer.Option(help="The written form of boxes: asv2, plain …; by default the trainer's own.")
    ] = None,
    pictures: Annotated[bool, typer.Option(help="Write the pictures, too.")] = True,
    layout: Annotated[str | None, typer.Option(help="asv2: pictures named as All-Seeing v2 has them.")] = None,
    phrases: Annotated[str | None, typer.Option(help="Of overlapping ones: longest, shortest, best_score.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Although shards are missing.")] = False,
    root: Root = ROOT,
    project: Folder = None,
    json: Json = False,
) -> None:
    """Write what the last run of a job kept, or the packs of a mix, for a trainer.

    Examples:  curate export grit --as llava_json --codec asv2
               curate export demo --as webdataset --no-pictures
               curate export grit --layout asv2 --phrases best_score
    """
    with exits.console(json) as console:
        from curate import exporting

        said = {"as_": as_, "codec": codec, "pictures": pictures, "layout": layout, "phrases": phrases}
        wanted = exporting.wanted(said)
        folder, manifest = exporting.export_last(job, wanted, project_at(project, job), place(root), partial, console)
        console.finish()
        manifest = {**manifest, "files": len(manifest["files"]) + manifest.get("picture_files", 0)}
        left = ", ".join(f"{reason} {count:,}" for reason, count in manifest["left_out"].items())
        text = f"wrote {manifest['records']:,} records to {folder}   left out: {left or 'none'}"
        where = [f"\npictures of {name} stay in {images}" for name, images in manifest["pictures_in"].items()]
        if (counted := manifest.get("counted_in")) and counted != manifest["codec"]:
            where.append(f"\nlengths and packs were counted in {counted}, texts are in {manifest['codec']}")
        console.result({"schema": "curate.export/1", "folder": folder, **manifest}, text + "".join(where))


@app.command()
def demo(
    root: Root = "build/demo",
    runner: Runner = "ray",
    cpus: Cpus = None,
    scenes: Annotated[int, typer.Option(min=200, help="How many scenes the tiny world has.")] = 2200,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Curate a tiny world, offline: generate, serve with planted faults, run jobs/demo.yaml, hold it against the truth.

    Examples:  curate demo
    """
    with exits.console(json, quiet, verbose) as console:
        from curate import telling
        from curate.demo import play
        from curate.driver import Where

        exits.aside(console)
        played = play.play(place(root), Where(runner, None, cpus), scenes, console)
        console.finish()
        console.result({"schema": "curate.demo/1", **asdict(played)}, telling.demo(played))
        raise typer.Exit(exits.DONE if played.ok else exits.FINDINGS)

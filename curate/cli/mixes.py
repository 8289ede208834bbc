"""The verbs that work on mixes that were packed: parse, call one function, print."""

from typing import Annotated

from curate import exits
from curate.cli.app import ROOT, Folder, Json, Root, app, place, project_at, typer

mix = typer.Typer(
    help="Ask the plans of mixes: another pack length, or how two of them differ.\n\n"
    "Examples:  curate mix advise demo   or   curate mix diff demo@3f9a demo",
    no_args_is_help=True,
)
app.add_typer(mix, name="mix")

Name = Annotated[str, typer.Argument(help="A mix that was run: demo, or demo@3f9a, a plan by its digest's beginning.")]


@mix.command()
def advise(
    name: Name,
    length: Annotated[
        list[int] | None, typer.Option("--length", "-l", min=1, max=1 << 24, help="Pack lengths to try, in tokens.")
    ] = None,
    root: Root = ROOT,
    project: Folder = None,
    json: Json = False,
) -> None:
    """Tell how full packs of other lengths could be, and what they would cost.

    Examples:  curate mix advise demo
               curate mix advise demo -l 2048 -l 4096 -l 6144
    """
    with exits.console(json) as console:
        from curate import plans

        where = place(root)
        plan = plans.find(name, where)
        found = plans.advise(plan, where, project_at(project), length or plans.LENGTHS)
        console.result(plans.as_json(plan, found), plans.advice_text(plan, found))


@mix.command()
def diff(a: Name, b: Name, root: Root = ROOT, project: Folder = None, json: Json = False) -> None:
    """Tell what two plans draw, component by component: draws, tokens, samples in one or in both.

    Examples:  curate mix diff demo@3f9a demo
               curate mix diff small large --root s3://bucket/curated
    """
    with exits.console(json) as console:
        from curate import plans

        where = place(root)
        mine, other = plans.find(a, where), plans.find(b, where)
        rows = plans.differ(mine, other, where, project_at(project))
        told = {"schema": "curate.mix-diff/1", "a": mine.digest, "b": other.digest, "components": rows}
        console.result(told, plans.difference_text(mine, other, rows))

"""Recipe and axes -> the best values: the whole of `tombola search`."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tombola.errors import RecipeError
from tombola.train.metrics.score import Score
from tombola.train.run.folder import write_atomic
from tombola.train.run.ray_cluster import import_ray
from tombola.train.search.axis import Axis
from tombola.train.search.heat_map import draw_search
from tombola.train.search.local import run_here
from tombola.train.search.outcome import Outcome, forget, kept, ranked, to_csv
from tombola.train.search.point import grid
from tombola.train.search.process import RECIPE
from tombola.train.tasks.table import load_recipe, open_task


@dataclass(frozen=True)
class Search:
    """A finished search: `outcomes` best first, their run folders and search.csv, search.png in `folder`."""

    folder: Path
    score: Score
    outcomes: list[Outcome]


def search_recipe(
    recipe: Path,
    axes: Sequence[Axis],
    folder: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    jobs: int | None = None,
    threads: int = 1,
    device: str = "auto",
    ray: bool = False,
    stop_early: bool = False,
    told: Callable[[str], None] = lambda _: None,
) -> Search:
    """Train the recipe at every point of the grid, each in a process of its own.

    folder: runs/NAME-search by default; points that ended there are not run again. jobs: points at once, by
    default one here, and as many as the cluster holds with `ray`, which runs them by Ray Tune on the cluster
    of RAY_ADDRESS, or on one that it starts here. stop_early: let Ray Tune end points that fall behind
    (asynchronous successive halving, Li et al. 2020). told gets a line as each point ends.

    Raises RecipeError and DataError before anything is trained, Interrupted after SIGINT. A point that
    fails is an outcome, not an error.
    """
    points = grid(axes)
    if stop_early and not ray:
        raise RecipeError("only Ray Tune stops points early; add --ray, or leave --stop-early out")
    for point in points:
        load_recipe(recipe, [*overrides, *point.overrides])
    if ray:
        import_ray("ray.tune")  # before anything is written
    name, score, toml = _read(recipe, overrides)
    folder = folder or Path("runs") / f"{name}-search"
    _keep_recipe(toml, folder)

    outcomes = {point: kept(point, folder / point.name) for point in points}
    todo = [point for point in points if outcomes[point].state in ("open", "failed")]
    for point in todo:
        outcomes[point] = Outcome(point, "open")
        forget(folder / point.name)
    if len(todo) < len(points):
        told(f"{len(points) - len(todo)} of {len(points)} points have ended before and are kept")

    def ended(outcome: Outcome) -> None:
        outcomes[outcome.point] = outcome
        count = sum(one.state != "open" for one in outcomes.values())
        told(f"{count}/{len(points)}  {_sentence(outcome, score)}")
        write_atomic(folder / "search.csv", to_csv(list(outcomes.values()), score))

    if ray:
        from tombola.train.search.cluster import run_on_ray

        run = partial(run_on_ray, jobs=jobs, stop_early=stop_early)
    else:
        run = partial(run_here, threads=threads, jobs=jobs or 1)
    run(todo, folder, device=device, score=score, ended=ended)
    best_first = ranked(list(outcomes.values()), score)
    write_atomic(folder / "search.csv", to_csv(list(outcomes.values()), score))
    write_atomic(folder / "search.png", draw_search(axes, best_first, score))
    return Search(folder, score, best_first)


def _sentence(outcome: Outcome, score: Score) -> str:
    told = "no score" if outcome.score is None else f"{score.name} {score.tell(outcome.score)}"
    said = {"failed": f"failed: {outcome.reason}", "stopped": f"{told}, stopped early"}
    return f"{' '.join(outcome.point.overrides)}  {said.get(outcome.state, told)}"


def _read(recipe: Path, overrides: Sequence[str]) -> tuple[str, Score, str]:
    """Name, score and resolved text of a recipe whose data can be had and judged by."""
    task = open_task(recipe, overrides)
    toml = task.recipe_toml()
    if not tomllib.loads(toml)["data"].get("valid"):
        raise RecipeError(f"{recipe} has no data.valid, so nothing tells which point is the best; add some")
    return task.name, task.score, toml


def _keep_recipe(toml: str, folder: Path) -> None:
    """Every point is trained by one copy of the recipe, so that a change to the file cannot divide them."""
    path = folder / RECIPE
    if path.exists() and path.read_bytes() != toml.encode():
        raise RecipeError(
            f"{folder} was searched with another recipe, or other --set and --epochs; choose another --out"
        )
    write_atomic(path, toml.encode())

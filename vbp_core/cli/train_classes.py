"""`vbp train FOLDER --network NetSign`: the classifiers' part of `vbp train`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from vbp.cli.main import print_json
from vbp.drives import open_drive
from vbp.errors import VbpError
from vbp.models.spec import NetworkSpec
from vbp.training.classifier import CLASSES, EPOCHS, EpochRow, train_classes
from vbp.training.folder import LAST
from vbp.training.recipe import AUGMENTATIONS, Recipe

TAKEN = {
    "sources",
    "output",
    "network",
    "threads",
    "epochs",
    "optimizer",
    "lr",
    "momentum",
    "schedule",
    "weight_decay",
    "batch",
    "clip",
    "seed",
    "augment",
    "shift",
    "test_fraction",
}


def run(given: dict[str, Any], spec: NetworkSpec, recipe: Recipe, device: str, as_json: bool) -> int:
    """Raises VbpError for options that only steering networks have."""
    if odd := sorted(f"--{name.replace('_', '-')}" for name in set(given) - TAKEN):
        raise VbpError(f"{', '.join(odd)} does nothing for {spec.name}, which learns classes; leave it out")
    if len(given["sources"]) != 1:
        raise VbpError(f"{spec.name} learns from one folder, with a folder of pictures for each class")
    values = recipe.to_json()
    if "epochs" not in given:
        values["epochs"] = EPOCHS
    if given.get("augment", "").strip() == "all":
        values["augment"] = [name for name in AUGMENTATIONS if name != "flip"]
    folder = given["output"].expanduser()
    bar: tqdm[Any] = tqdm(unit="step", desc="preparing", disable=None)

    def prepared(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    def stepped(step: int, steps: int, loss: float) -> None:
        if step == 1:
            bar.reset(total=steps)
            bar.set_description("training")
        bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
        bar.update(step - bar.n)

    def measured(row: EpochRow) -> None:
        text = f"epoch {row.epoch:<4} loss {row.train_loss:.4f}"
        if row.test_accuracy == row.test_accuracy:
            text += f"   held out: loss {row.test_loss:.4f}, {100 * row.test_accuracy:.1f} % right"
        if not as_json:
            tqdm.write(f"{text}   {row.seconds:.0f} s")

    with bar, open_drive(given["sources"][0]) as drive:
        recipe = Recipe.from_json(values)
        last = train_classes(drive, spec, recipe, folder, device, prepared, stepped, measured)[-1]
    if as_json:
        print_json({"run": str(folder), **asdict(last)})
        return 0
    print(f"trained {last.epoch} epochs in {last.seconds / 60:.1f} min: {folder / LAST}")
    if last.test_accuracy == last.test_accuracy:
        print(
            f"{100 * last.test_accuracy:.1f} % of the pictures held out (whole tracks, named in {CLASSES}) are right"
        )
    return 0

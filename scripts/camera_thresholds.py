"""The thresholds of edge/camera_health.py that fit the first half of the labelled pictures best.

    python scripts/camera_thresholds.py

`fieldgate bench camera` measures them on the other half.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np

from edge.camera_health import look_at
from simulators.labelled import TUNED, labelled

COUNT = 600


def main() -> None:
    """Print the middle of the best range of each."""
    pictures = [(each.label, look_at(each.image)) for each in labelled(TUNED, COUNT)]
    labels = np.array([label for label, _ in pictures])
    form, light, sharp = (
        np.array([getattr(look, name) for _, look in pictures])
        for name in ("form", "light", "sharpness")
    )
    best: list[tuple[float, float, float]] = []
    most = 0
    for forms, lights, sharps in itertools.product(
        np.arange(0.01, 0.1, 0.0025), np.arange(8, 40, 1.0), np.arange(0.15, 0.4, 0.01)
    ):
        said = np.where(sharp < sharps, "blurred", "ok")
        said = np.where(light < lights, "dark", said)
        said = np.where(form < forms, "covered", said)
        right = int((said == labels).sum())
        if right > most:
            most, best = right, []
        if right == most:
            best.append((forms, lights, sharps))
    middle = np.median(np.array(best), axis=0)
    names = ("FORM", "DARK_LIGHT", "SHARPNESS")
    sys.stdout.write(f"{most} of {COUNT} right\n")
    for name, value in zip(names, middle, strict=True):
        sys.stdout.write(f"{name} = {value:.3g}\n")


if __name__ == "__main__":
    main()

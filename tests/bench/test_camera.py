"""Do recall and precision count the right pictures?"""

from __future__ import annotations

import math
from collections import Counter

import pytest

from fieldgate.bench.camera import by_three_numbers, precision, recall, told_of
from simulators.labelled import TUNED, labelled
from simulators.labelled_films import films

TOLD = Counter({("ok", "ok"): 90, ("ok", "dark"): 10, ("dark", "dark"): 40, ("dark", "ok"): 60})


def test_recall_is_of_those_that_are_and_precision_of_those_that_are_told() -> None:
    assert (recall(TOLD, "ok"), recall(TOLD, "dark")) == (0.9, 0.4)
    assert (precision(TOLD, "ok"), precision(TOLD, "dark")) == (0.6, 0.8)
    assert math.isnan(recall(TOLD, "blurred"))


@pytest.mark.slow
def test_the_pictures_are_the_same_for_the_same_seed_and_in_the_promised_shares() -> None:
    first, again = list(labelled(TUNED, 10)), list(labelled(TUNED, 10))
    assert all((a.image == b.image).all() for a, b in zip(first, again, strict=True))
    assert Counter(each.label for each in first) == {"ok": 4, "covered": 2, "dark": 2, "blurred": 2}
    assert {each.image.shape for each in first} == {(720, 1280, 3)}
    assert {by_three_numbers(each.image) for each in first} <= {"ok", "covered", "dark", "blurred"}


def test_a_film_that_stands_is_told_as_frozen() -> None:
    film = next(film for film in films(TUNED, 1) if film.story == "stands")
    assert told_of(film) == film.label == "frozen"

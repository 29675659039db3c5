"""The noise floor of a subject: what differs where nothing of it was changed but how it was run."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypedDict

from harness.judging.record import Record, RunFacts
from harness.machine.files import read_json
from harness.reporting.wording import number, spell_count

SCHEMA = 1
"""Version of a floor's file; a file of another version is refused."""

DIGITS = 1e-5
"""Two files may give the same estimate with this relative difference, since they keep six digits."""


class Served(TypedDict):
    """A claim where the subject was run otherwise; `difference` is that of the two estimates, if there are."""

    verdict: str
    difference: float | None


class ClaimFloor(TypedDict):
    """What differs of one claim, in `unit`.

    `verdict` and `estimate` are those of the usual run with the first seed. Over the seeds, `verdicts` counts
    what came out and `spread` is the standard deviation of the estimates (None of fewer than two). `served` has
    the other ways to run it, with the first seed, and `floor` the largest difference in the usual precision
    (None if there is no estimate): how far the claim moves on the same scenes though the model is the same.
    """

    unit: str
    verdict: str
    estimate: float | None
    verdicts: dict[str, int]
    spread: float | None
    served: dict[str, Served]
    floor: float | None


class LogitFloor(TypedDict):
    """How logits at the last token differ from the usual run, over all trials and the whole vocabulary.

    `largest` and `mean` are of absolute differences, `spread` is the standard deviation of the logits
    themselves, and `answers` counts the trials of which another token is the likeliest.
    """

    trials: int
    largest: float
    mean: float
    spread: float
    answers: int


class Floor(TypedDict):
    """The content of a floor's file; `seed` is the first of `repeats` seeds, see `RunFacts` for the rest.

    `noise` names the ways to run it in the usual precision. What another precision moves is told and is no
    noise: a model may lose its mechanism in it, and a gate with such margins would not see that.
    """

    schema: int
    subject: str
    family: str
    seed: int
    repeats: int
    trials: int | str | None
    gate: bool
    stimuli: str
    device: str | None
    dtype: str | None
    harness: str
    noise: list[str]
    logits: dict[str, LogitFloor]
    claims: dict[str, ClaimFloor]


class WrongFloor(ValueError):
    """A file is no floor, or that of another run."""


def find_floor_file(scorecard: Path) -> Path:
    """Path of the floor that belongs to a scorecard's file; each `*.json` beside it may be a scorecard."""
    return scorecard.with_name(f"{scorecard.stem}.floor")


def load_floor(path: Path) -> Floor | None:
    """Read a floor; None if there is no such file.

    Raises:
        WrongFloor: It is damaged, or of another version.
    """
    if not path.exists():
        return None
    try:
        content: Floor = read_json(path)
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']}; this version reads schema {SCHEMA}")
        if missing := Floor.__annotations__.keys() - content.keys():
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        for claim in content["claims"].values():
            floor = claim["floor"]
            if floor is not None and not (math.isfinite(floor) and floor >= 0):
                raise ValueError(f"a floor is {floor}")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WrongFloor(
            f"{path} is no noise floor ({error}): delete it, or measure again with `claims floor`"
        ) from error
    return content


def find_floor(floor: Floor | None, claim: str, subject: str) -> float:
    """The largest change of a claim's estimate between runs of one subject; 0 where it was not measured."""
    found = floor["claims"].get(claim) if floor and floor["subject"] == subject else None
    return (found["floor"] if found else None) or 0.0


def add_up_floor(
    seeds: Iterable[Mapping[str, Record]],
    served: Mapping[str, Mapping[str, Record]],
    noise: Collection[str],
) -> dict[str, ClaimFloor]:
    """Add up what came out of all runs, by claim.

    Args:
        seeds: The records of the usual runs by claim, those of the first seed first.
        served: Records by claim of the other ways to run it, with the first seed, by the name of the way.
        noise: Which of these are in the usual precision.
    """
    runs = list(seeds)
    found: dict[str, ClaimFloor] = {}
    for claim, usual in runs[0].items():
        over = [run[claim] for run in runs if claim in run]
        verdicts: dict[str, int] = {}
        for record in over:
            verdicts[str(record.verdict)] = verdicts.get(str(record.verdict), 0) + 1
        ways: dict[str, Served] = {
            how: {"verdict": str(r[claim].verdict), "difference": _subtract(usual, r[claim])}
            for how, r in served.items()
            if claim in r
        }
        differences = [w["difference"] for how, w in ways.items() if how in noise]
        moved = [abs(d) for d in differences if d is not None]
        found[claim] = {
            "unit": usual.unit,
            "verdict": str(usual.verdict),
            "estimate": usual.estimate,
            "verdicts": verdicts,
            "spread": compute_spread([r.estimate for r in over if r.estimate is not None]),
            "served": ways,
            "floor": max(moved, default=None),
        }
    return found


def _subtract(usual: Record, other: Record) -> float | None:
    if usual.estimate is None or other.estimate is None:
        return None
    return other.estimate - usual.estimate


def compute_spread(values: list[float]) -> float | None:
    """The standard deviation of some values; None of fewer than two."""
    if len(values) < 2:
        return None
    middle = sum(values) / len(values)
    return math.sqrt(sum((v - middle) ** 2 for v in values) / (len(values) - 1))


def refuse_other_run(
    settings: Mapping[str, object],
    subject: str,
    run: RunFacts,
    records: Collection[Record],
    what: str,
    remedy: str,
) -> None:
    """Refuse a noise floor, measured or about to be, of another subject or other settings than a baseline.

    Args:
        settings: Those of the floor, by the names of the run's.
        subject: The floor's.
        run: The baseline's run.
        records: The baseline's records of the subject.
        what: Begins the message, such as "here would be".
        remedy: Ends it.

    Raises:
        WrongFloor: They differ.
    """
    if not records:
        raise WrongFloor(f"{what} the noise floor of {subject}, which is not here: {remedy}")
    for name, ours in settings.items():
        if ours != (theirs := getattr(run, name)):
            raise WrongFloor(
                f"{what} the noise floor with another {name} ({ours}) than the baseline ({theirs}): {remedy}"
            )


def refuse_other_floor(floor: Floor, run: RunFacts, records: Iterable[Record], where: str) -> None:
    """Refuse a floor that is not that of a baseline, since it would widen the gate by what is not its noise.

    The estimates of the usual run must be the baseline's: another model of that name has others.

    Args:
        floor: What was measured.
        run: The baseline's run.
        records: The baseline's records.
        where: The floor's file, for the message.

    Raises:
        WrongFloor: It is of another subject, model, seed, number of trials or version of the scenes.
    """
    known = [r for r in records if r.subject == floor["subject"]]
    remedy = "delete it, or measure it again: claims floor SUBJECT --out DIR, with the baseline's options"
    settings = {name: floor[name] for name in ("seed", "trials", "gate", "stimuli")}
    refuse_other_run(settings, floor["subject"], run, known, f"{where} is", remedy)
    for record in known:
        claim = floor["claims"].get(record.claim)
        if claim is None or claim["estimate"] is None or record.estimate is None:
            continue
        room = (claim["floor"] or 0.0) + DIGITS * max(1.0, abs(record.estimate))
        if abs(claim["estimate"] - record.estimate) > room:
            raise WrongFloor(
                f"{where} is the noise floor of another model: {record.claim} is {number(claim['estimate'])} "
                f"there and {number(record.estimate)} in the baseline: {remedy}"
            )


def render_floor(floor: Floor) -> Iterator[str]:
    """What a floor says, as Markdown: what logits do, then each claim."""
    judged = floor["claims"].values()
    yield f"# Noise floor of {floor['subject']}"
    yield ""
    yield (
        f"{spell_count(len(judged), 'claim')}, {floor['trials'] or 'their own'} trials, "
        f"{spell_count(floor['repeats'], 'seed')} from {floor['seed']} on, {floor['device']}, {floor['dtype']}."
    )
    changed = sum(len(c["verdicts"]) > 1 for c in judged)
    yield f"With other seeds {changed} of {len(judged)} verdicts change."
    yield ""
    if floor["logits"]:
        heads = (
            "verdicts that change",
            "largest difference of a logit",
            "mean",
            "spread of logits",
        )
        yield f"| run with | {' | '.join(heads)} | answers that change |"
        yield "|---|---|---|---|---|---|"
    for how, logits in floor["logits"].items():
        asked = [c for c in judged if how in c["served"]]
        other = sum(c["served"][how]["verdict"] != c["verdict"] for c in asked)
        yield (
            f"| {how} | {other} of {len(asked)} | {logits['largest']:.2g} | {logits['mean']:.2g} | "
            f"{logits['spread']:.3g} | {logits['answers']} of {logits['trials']} |"
        )
    yield ""
    yield "| claim | verdicts over seeds | estimate | spread over seeds | floor | unit |"
    yield "|---|---|---|---|---|---|"
    for claim, found in floor["claims"].items():
        verdicts = ", ".join(f"{n} {v}" for v, n in found["verdicts"].items())
        cells = (_spell(found[key]) for key in ("estimate", "spread", "floor"))
        yield f"| {claim} | {verdicts} | {' | '.join(cells)} | {found['unit']} |"
    yield ""
    yield (
        "Spread: standard deviation of the estimate over seeds, which are other scenes. Floor: the largest "
        f"difference on the same scenes ({', '.join(floor['noise'])}); the gate takes no smaller loss for one."
    )


def _spell(value: float | None) -> str:
    return "-" if value is None else number(value)

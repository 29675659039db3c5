"""Gather what the suite asks, as a seal, and say of one what has changed since."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from harness import __version__
from harness.experiments.catalogue import EXPERIMENTS, list_measured
from harness.judging.claim import Claim
from harness.judging.controls import read_expected
from harness.judging.seal import CODE, Seal, SealedCell, SealedClaim, SealedExperiment
from harness.machine.files import FIXTURES
from harness.measuring.code import hash_code, hash_stimuli
from harness.measuring.experiment import Experiment
from harness.readings.reading import Reading
from harness.reporting.compare import MARGIN
from harness.reporting.scorecard import ALPHA
from harness.statistics.estimate import MINIMUM_CLUSTERS
from harness.statistics.looks import ALL_TRIALS


class StatedTest(NamedTuple):
    """The test of a claim, whatever subject it is run on.

    Attributes:
        claim: The claim.
        function: Its test.
        fixtures: Names of the fixtures that the test uses.
    """

    claim: Claim
    function: Callable[..., object]
    fixtures: Collection[str]


def state_tests(items: Iterable[object]) -> list[StatedTest]:
    """The tests of claims among the items that a test runner has collected."""
    found = []
    for item in items:
        function = getattr(item, "function", None)
        claim = getattr(function, "claim", None)
        if function is not None and isinstance(claim, Claim):
            found.append(StatedTest(claim, function, tuple(getattr(item, "fixturenames", ()))))
    return found


def gather_seal(
    tests: Iterable[StatedTest], *, seed: int, trials: int | str | None, gate: bool
) -> Seal:
    """All that decides what a model is asked by some tests, and how it is judged.

    Args:
        tests: Tests of claims; several subjects may share one.
        seed: Seed of all stimuli.
        trials: As in `harness.runs.options.Options`.
        gate: Whether subjects that fail the task are blocked.

    Raises:
        ValueError: Two claims have one id.
    """
    cells = read_expected().items()
    return Seal(
        settings={"seed": seed, "trials": trials, "gate": gate},
        stimuli=hash_stimuli(),
        code=_hash_code(),
        rules={
            "ALPHA": ALPHA,
            "LEVEL": ALL_TRIALS.level,
            "MINIMUM_CLUSTERS": float(MINIMUM_CLUSTERS),
            "MARGIN": MARGIN,
        },
        claims=_seal_claims(tests),
        experiments={e.name: _seal_experiment(e) for e in EXPERIMENTS},
        controls={
            pair: SealedCell(str(c.verdict), tuple(sorted(map(str, c.also)))) for pair, c in cells
        },
        written=datetime.now(UTC).isoformat(timespec="seconds"),
        harness=__version__,
    )


def _hash_code() -> dict[str, str]:
    readers = [e.reading.partition(":")[0] for e in EXPERIMENTS if e.reading]
    return {
        "measuring": hash_code(e.module for e in EXPERIMENTS),
        "judging": hash_code([*readers, "harness.judging.verdict"]),
        "published": _hash_files(FIXTURES / "published"),
    }


def _hash_files(folder: Path) -> str:
    """Hash of the files of a folder, names and all."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def describe_seal(seal: Seal) -> dict[str, str]:
    """What a scorecard says of the seal that its run was held to, as in `harness.judging.record.RunFacts`."""
    facts = {"digest": seal.digest, "written": seal.written}
    now = _hash_code()
    changed = [told for name, told in CODE.items() if seal.code.get(name) != now[name]]
    return facts | ({"changed": " and ".join(changed)} if changed else {})


def _seal_claims(tests: Iterable[StatedTest]) -> Mapping[str, SealedClaim]:
    stated: dict[str, Claim] = {}
    functions: dict[str, dict[Callable[..., object], Collection[str]]] = {}
    for claim, function, fixtures in tests:
        if stated.setdefault(claim.id, claim) != claim:
            raise ValueError(f"claim {claim.id} is declared twice")
        functions.setdefault(claim.id, {})[function] = fixtures
    return {
        id: SealedClaim(
            statement=claim.statement,
            unit=claim.threshold.unit,
            direction=claim.threshold.direction,
            threshold=claim.threshold.value,
            exceptions=dict(claim.threshold.exceptions),
            published=dict(claim.published),
            experiments=tuple(
                e.name
                for e in sorted(EXPERIMENTS, key=lambda e: e.name)
                if any(e.name in fixtures for fixtures in functions[id].values())
            ),
            test=" ".join(sorted(map(hash_body, functions[id]))),
        )
        for id, claim in stated.items()
    }


def hash_body(function: Callable[..., object]) -> str:
    """Hash (16 hexadecimal digits) of what a test does, with the functions of its file that it calls.

    Names, decorators, docstrings and the place of a function do not count.
    """
    texts, waiting, seen = [], [function], {function}
    while waiting:
        one = waiting.pop()
        node = ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            raise ValueError(f"{one!r} is no function with a body")
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        texts.append("\n".join(map(ast.unparse, (node.args, *body))))
        called = sorted({n.id for part in body for n in ast.walk(part) if isinstance(n, ast.Name)})
        known = inspect.unwrap(one).__globals__
        for other in (known.get(name) for name in called):
            own = inspect.isfunction(other) and other.__module__ == one.__module__
            if own and other not in seen:
                seen.add(other)
                waiting.append(other)
    return hashlib.sha256("\n\n".join(texts).encode()).hexdigest()[:16]


def _seal_experiment(experiment: Experiment) -> SealedExperiment:
    reading: Any = experiment.load_reading() if experiment.reading else Reading
    return SealedExperiment(
        trials={scale: experiment.count_trials(scale) for scale in ("embedded", "paper")},
        requires=experiment.requires,
        own_task=reading.task_accuracy is not Reading.task_accuracy,
        least=experiment.least,
        measures=tuple(sorted(e.name for e in list_measured(experiment))),
        looks=experiment.looks,
        own_images=experiment.own_images,
    )

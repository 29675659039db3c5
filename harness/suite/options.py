"""The options that the suite adds to pytest; `--help` prints them."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pytest

from harness.machine.files import NoCheckout, check_checkout
from harness.reporting.junit import FLAVOURS
from harness.runs.options import Options, parse_seed, parse_trials
from harness.statistics.looks import AUTO
from harness.subjects.registry import ARRANGEMENTS, BYTES


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("claims", "claims of papers, judged on vision-language models")
    group.addoption(
        "--subject", action="append", default=[], metavar="NAME|FOLDER", dest="claim_subjects",
        help="model to judge: a name from fixtures/subjects.toml or a folder with a checkpoint; may be "
        "given several times. Default: the embedded subjects, and with --gpu the hub's",
    )  # fmt: skip
    group.addoption(
        "--family", metavar="FAMILY", dest="claim_family",
        help="architecture of a folder (else read from its config.json), or only subjects of this one",
    )  # fmt: skip
    group.addoption(
        "--dtype", choices=list(BYTES), dest="claim_dtype",
        help="precision of folders and of the hub's models, instead of their weights' or of subjects.toml's: "
        "half precision takes half of the memory, rounds scores, and is slow on a CPU; exact leaves weights in "
        "it and computes in float32, nearly-exact with fewer digits on a GPU",
    )  # fmt: skip
    group.addoption(
        "--arrangement", choices=list(ARRANGEMENTS), dest="claim_arrangement",
        help="how folders and the hub's models are asked. plain: without a template; chat: in the user's turn "
        "of the chat template; prefilled: the sentence begins the model's turn; auto: chat or prefilled, as "
        "it answers better. Default: auto for what has a template, or as subjects.toml says",
    )  # fmt: skip
    group.addoption(
        "--gpu", action="store_true", dest="claim_gpu",
        help="run on a GPU and add the hub's subjects; an error where there is no GPU",
    )  # fmt: skip
    group.addoption(
        "--remote", metavar="ndif|URL|local", dest="claim_remote",
        help="run the decoder layers on NDIF (subjects of the hub, with a key in NDIF_API_KEY) or another "
        "server of nnsight's; what comes back are pickles, which can run code here: only for servers you "
        "trust. local: here, but packed and unpacked as if sent",
    )  # fmt: skip
    group.addoption(
        "--trials", type=_trials, metavar="N|auto", dest="claim_trials",
        help="trials per experiment instead of each experiment's own number; fewer widen the intervals. auto: "
        "a sixth of its own number, then two fifths, then all, until the claim is settled, looks that would "
        "settle nothing left out; pays where few claims are asked",
    )  # fmt: skip
    group.addoption(
        "--seed", type=parse_seed, default=0, metavar="N", dest="claim_seed",
        help="seed of all stimuli and draws (default 0); the same seed gives the same scorecard",
    )  # fmt: skip
    group.addoption(
        "--baseline", metavar="NAME|FILE|none", dest="claim_baseline",
        help="scorecard to compare with; default: reports/baselines/SUBJECT.json for embedded subjects",
    )  # fmt: skip
    group.addoption(
        "--partial", action="store_true", dest="claim_partial",
        help="let a run of some claims (-k, --deselect, a file) pass the gate of --baseline, for these alone; "
        "without it such a run is red",
    )  # fmt: skip
    group.addoption(
        # Not --strict, which is an option of pytest's own, about markers.
        "--strict-heads", action="store_true", dest="claim_strict",
        help="let the gate of --baseline be red, too, where a stage is carried by other heads than in the "
        "baseline, or nobody can tell that it is not; without it that is a warning",
    )  # fmt: skip
    group.addoption(
        "--seal", type=Path, metavar="FILE", dest="claim_seal",
        help="a file of `claims seal`: refuse to ask any other claims, thresholds, trials, seed or scenes than "
        "those that were written down there",
    )  # fmt: skip
    group.addoption(
        "--scorecard", type=Path, metavar="DIR", dest="claim_scorecard",
        help="write scorecard.json, scorecard.xml, index.html and the figures into DIR; those of an earlier "
        "run are gone as soon as this one begins",
    )  # fmt: skip
    group.addoption(
        "--junit-schema", choices=list(FLAVOURS), default="pytest", dest="claim_junit",
        help="pytest: a testcase has the record of its claim as properties, in scorecard.xml and in --junitxml "
        "(GitLab and the reporters for GitHub's actions read that). jenkins: without them, so that both are "
        "valid by the schema of Jenkins' xunit plugin (default pytest)",
    )  # fmt: skip
    group.addoption(
        "--store", type=Path, metavar="DIR", dest="claim_store",
        help="folder of measurements, shared between runs (default reports/store)",
    )  # fmt: skip
    group.addoption(
        "--no-gate", action="store_false", dest="claim_gate",
        help="ask every claim, even of a subject that does not do the task; for calibration: such verdicts "
        "say nothing about binding",
    )  # fmt: skip
    group.addoption(
        "--attention", choices=["sdpa", "eager"], default="sdpa", dest="claim_attention",
        help="attention implementation (default sdpa)",
    )  # fmt: skip
    group.addoption(
        "--photographs", type=Path, metavar="DIR", dest="claim_photographs",
        help="two-object photographs for section 4.2: PUG: SPAR, or your own with a manifest.csv (default "
        "data/photographs); without them those claims are not run",
    )  # fmt: skip
    group.addoption(
        "--coco", type=Path, metavar="DIR", dest="claim_coco",
        help="COCO 2017 validation images for appendix B (default data/coco); without them not run",
    )  # fmt: skip


def refuse_without_checkout() -> None:
    """Refuse to run where only a wheel is installed, before "no tests ran" could look like success.

    Raises:
        pytest.UsageError: There are no claims; the message is one line and says what to do.
    """
    try:
        check_checkout("the plugin of binding-claims")
    except NoCheckout as error:
        raise pytest.UsageError(str(error)) from None


def _trials(text: str) -> int | str:
    if text == AUTO:
        return text
    try:
        return parse_trials(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error} or {AUTO}") from None


def spell_command_line(config: pytest.Config) -> str:
    """The command line of pytest, as it can be typed again."""
    return shlex.join(["pytest", *map(str, config.invocation_params.args)])


def read_options(config: pytest.Config, records: Path) -> Options:
    """The options of a run from pytest's command line.

    Args:
        config: Configuration of pytest.
        records: Folder for the run's records.
    """
    option = config.getoption
    return Options(
        subjects=tuple(option("claim_subjects")),
        family=option("claim_family"),
        dtype=option("claim_dtype"),
        arrangement=option("claim_arrangement"),
        gpu=option("claim_gpu"),
        remote=option("claim_remote"),
        # Only if -m names them: they double the time, and without the name -m would deselect them anyway.
        controls="control" in (option("markexpr") or ""),
        gate=option("claim_gate"),
        trials=option("claim_trials"),
        seed=option("claim_seed"),
        baseline=option("claim_baseline"),
        partial=option("claim_partial"),
        strict=option("claim_strict"),
        seal=option("claim_seal"),
        scorecard=option("claim_scorecard"),
        records=records,
        store=option("claim_store") or Options.store,
        attention=option("claim_attention"),
        photographs=option("claim_photographs") or Options.photographs,
        coco=option("claim_coco") or Options.coco,
        command=spell_command_line(config),
        junit=option("claim_junit"),
    )

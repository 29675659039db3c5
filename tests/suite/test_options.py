"""The options of the plugin: what they select, what they refuse, and that a refusal is one line."""

from __future__ import annotations

import re
import shutil
from itertools import groupby

import pytest
import torch
from made_up import VERDICTS, scorecard


def test_markers_and_families_select_subjects(run):
    assert run("--collect-only", "-q", "-m", "qwen", subject=None).stdout.str().count("[tiny-") == 9
    assert "tiny-llava" not in run("--collect-only", "-q", "-m", "qwen", subject=None).stdout.str()
    controls = run("--collect-only", "-q", "-m", "qwen and control", subject=None).stdout.str()
    assert controls.count("[planted-qwen]") == 9
    assert "[planted]" not in controls
    gemma = run("--collect-only", "-q", "-m", "gemma and control", subject=None).stdout.str()
    assert gemma.count("[planted-gemma]") == gemma.count("::test_") == 9
    only = run("--collect-only", "-q", "--family", "llava", subject=None).stdout.str()
    assert only.count("[tiny-llava]") == 9
    assert "qwen" not in only
    everything = run(
        "--collect-only", "-q", "-m", "embedded and made_up", subject=None
    ).stdout.str()
    assert everything.count("[tiny-") == 18


def test_all_claims_of_one_subject_run_before_the_next(run):
    listed = run("--collect-only", "-q", subject=None).stdout.str()
    subjects = re.findall(r"::test_\w+\[(.+)\]", listed)
    # The verdicts of each subject come in one block: none comes after another subject has begun.
    assert len(list(groupby(subjects))) == len(set(subjects)) > 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ("--subject", "no-such-model"),
            "unknown subject 'no-such-model': not in fixtures/subjects.toml (tiny-",
        ),
        (("--family", "no-such-family"), "unknown family 'no-such-family'; known: llava"),
        (("--trials", "1"), "--trials 1: at least 24 are needed"),
        (("--trials", "abc"), "--trials: invalid value 'abc': give a whole number or auto"),
        (("--seed", "-1"), "--seed: invalid value '-1': give a whole number from 0"),
        (("--baseline", "no-such-run"), "--baseline no-such-run: no such file or baseline"),
        (("--scorecard", "a-file/out"), "cannot write the scorecard to a-file/out"),
        (("--store", "a-file/store"), "a-file/store"),
        (("--gpu",), "--gpu: torch sees no CUDA device"),
        (("--remote", "nowhere"), "--remote nowhere: neither ndif nor local, nor a URL"),
        (("--remote", "ndif", "--gpu"), "--remote and --gpu: the decoder layers are either"),
        (("--remote", "ndif"), "--remote ndif: no key; get one at https://login.ndif.us"),
    ],
)
def test_a_bad_option_is_one_line_and_a_status_above_zero(
    run, pytester, monkeypatch, options, complaint
):
    if "--gpu" in options and torch.cuda.is_available():
        pytest.skip("there is a GPU here, so --gpu is right")
    monkeypatch.delenv("NDIF_API_KEY", raising=False)
    (pytester.path / "a-file").write_text("in the way")
    result = run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = result.stderr.str() + result.stdout.str()
    assert complaint in said
    assert "Traceback" not in said


def test_a_model_elsewhere_has_to_be_named(run):
    result = run("--remote", "https://somewhere.org", subject=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "name a model that runs there with --subject" in result.stderr.str()


def test_listing_what_would_run_leaves_the_last_run_alone(run, pytester):
    run("--baseline", "none")
    before = sorted(p.name for p in (pytester.path / "out").rglob("*"))
    run("--collect-only")
    run("--fixtures")
    assert sorted(p.name for p in (pytester.path / "out").rglob("*")) == before
    assert len([n for n in before if re.fullmatch("tiny-llava--.*json", n)]) == len(VERDICTS)
    assert scorecard(pytester)["run"]["state"] == "finished"


def test_a_claim_is_found_by_its_id(run):
    assert run("--collect-only", "-q", "-k", "unclear").stdout.str().count("[tiny-") == 1
    assert run("--collect-only", "-q", "-k", "made_up.1.absent").stdout.str().count("[tiny-") == 1


def test_two_folders_of_one_name_are_refused(run, pytester, checkpoints):
    for place in ("a", "b"):
        shutil.copytree(checkpoints["tiny-llava"], pytester.path / place / "checkpoint")
    result = run("--subject", "b/checkpoint", subject="a/checkpoint")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "two subjects are called 'checkpoint'" in result.stderr.str()


def test_a_folder_without_weights_is_one_line(run, pytester, checkpoints):
    folder = shutil.copytree(checkpoints["tiny-llava"], pytester.path / "empty")
    (folder / "model.safetensors").unlink()
    result = run(subject="empty")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "empty: no .safetensors" in result.stderr.str()
    assert "Traceback" not in result.stderr.str()


def test_a_damaged_baseline_is_refused(run, pytester):
    (pytester.path / "cut.json").write_text('{"run": {"schema"')
    result = run("--baseline", "cut.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "cut.json" in result.stderr.str()


def test_help_teaches_the_options(pytester):
    result = pytester.runpytest_inprocess("-p", "harness.suite.plugin", "--help")
    result.stdout.fnmatch_lines(["claims of papers, judged on vision-language models:"])
    for option in (
        "--subject",
        "--family",
        "--dtype",
        "--arrangement",
        "--gpu",
        "--trials",
        "--seed",
        "--baseline",
        "--scorecard",
        "--store",
    ):
        assert option in result.stdout.str()

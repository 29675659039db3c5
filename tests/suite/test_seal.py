"""A run that is held to a seal judges what was sealed, and nothing else, also with workers."""

from __future__ import annotations

import json
import re

import pytest
from made_up import CLAIMS, scorecard

from harness.cli.main import main
from harness.judging.seal import read_seal, save_seal
from harness.runs.sealing import gather_seal, state_tests

GOOD = CLAIMS.split('@stated("raises")')[0]


@pytest.fixture
def sealed(run, pytester):
    """A function that runs made-up claims against a seal of `GOOD`; it returns pytester's result."""

    class Keeper:
        def pytest_collection_finish(self, session):
            tests = state_tests(session.items)
            seal = gather_seal(tests, seed=0, trials=None, gate=True)
            save_seal(pytester.path / "seal.json", seal)

    pytester.makepyfile(test_made_up=GOOD)
    pytester.inline_run(
        "-p", "harness.suite.plugin", "-p", "no:cacheprovider", "--collect-only",
        "--subject", "tiny-llava", plugins=[Keeper()],
    )  # fmt: skip

    def go(claims=GOOD, *options, **more):
        pytester.makepyfile(test_made_up=claims)
        return run("--seal", "seal.json", "--baseline", "none", *options, **more)

    return go


def differences(result):
    """The lines of a refusal, after its first one."""
    said = result.stderr.str()
    assert "--seal seal.json: this is not what was sealed, so nothing was judged" in said
    assert "Traceback" not in said + result.stdout.str()
    return [line.strip() for line in said.splitlines() if line.startswith("  ")]


def test_what_was_sealed_is_judged_and_the_scorecard_says_so(sealed, pytester):
    result = sealed()
    result.assert_outcomes(passed=1, failed=3, skipped=1)
    digest = read_seal(pytester.path / "seal.json").digest
    told = scorecard(pytester)["run"]["seal"]
    assert told["digest"] == digest
    assert "changed" not in told
    assert f"sealed {digest[:12]}" in " ".join(result.stdout.str().split())
    assert digest in (pytester.path / "out" / "index.html").read_text()
    assert digest in (pytester.path / "out" / "scorecard.xml").read_text()


def test_a_run_without_a_seal_says_nothing_of_one(run, pytester):
    pytester.makepyfile(test_made_up=GOOD)
    assert "sealed" not in run("--baseline", "none").stdout.str()
    assert scorecard(pytester)["run"]["seal"] == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("above(0.5", "above(0.05", "made_up.1.absent: threshold: sealed above 0.5 r, now above 0.05 r"),
        ("around(0.1)", "around(0.9)", "made_up.1.fails: test: sealed"),
        ('@stated("fails")\n', "", "made_up.1.fails: sealed as a claim, now not there"),
        ('"fails"', '"fell"', "made_up.1.fell: sealed no such claim, now above 0.5 r; take it out"),
        ('{"tiny-llava": 0.7}', '{"tiny-llava": 0.1}', "made_up.1.holds: published for tiny-llava: sealed 0.7"),
        ("This is so.", "This may be so.", "made_up.1.absent: statement: sealed 'This is so.'"),
        ('paper")', 'paper", exceptions={"tiny-llava": 0})', "made_up.1.absent: exceptions for tiny-llava"),
    ],
)  # fmt: skip
def test_other_claims_are_refused_by_name(sealed, pytester, old, new, said):
    result = sealed(GOOD.replace(old, new))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert any(line.startswith(said) for line in differences(result))
    # What says that a run has begun, and not that it has finished, can be neither compared nor blessed.
    written = json.loads((pytester.path / "out" / "scorecard.json").read_text())
    assert written["run"]["state"] == "begun"
    assert not written.get("records")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--seed", "3"), "seed: sealed 0, now 3; run with --seed 0"),
        (("--trials", "48"), "trials: sealed each experiment's own, now 48; run without --trials"),
        (("--trials", "auto"), "trials: sealed each experiment's own, now auto; run without --trials"),
        (("--no-gate",), "gate: sealed only subjects that do the task, now all subjects; run without"),
        (("-k", "not fails"), "made_up.1.fails: sealed as a claim, now left out for tiny-llava; ask"),
        (("--deselect", "test_made_up.py::test_fails[tiny-llava]"), "made_up.1.fails: sealed as a claim"),
        (("test_made_up.py::test_fails",), "made_up.1.absent, made_up.1.blocked, made_up.1.holds, made_up"),
        (("-k", "nothing"), "made_up.1.absent, made_up.1.blocked, made_up.1.fails, made_up.1.holds, made_"),
    ],
)  # fmt: skip
def test_other_trials_and_fewer_claims_are_refused(sealed, options, said):
    result = sealed(GOOD, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = differences(result)
    assert line.startswith(said)


def test_a_claim_that_is_left_out_for_one_of_two_subjects_is_refused(sealed):
    names = "not (fails and qwen2)"
    result = sealed(GOOD, "--subject", "tiny-qwen2-vl", "-k", names)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert differences(result) == [
        "made_up.1.fails: sealed as a claim, now left out for tiny-qwen2-vl; "
        "ask every sealed claim: leave out -k, -m and --deselect"
    ]


def test_subjects_can_be_chosen_by_marker(sealed):
    result = sealed(GOOD, "-m", "llava", subject=None)
    result.assert_outcomes(passed=1, failed=3, skipped=1, deselected=5)


def test_scenes_and_experiments_of_another_version_are_refused(sealed, monkeypatch):
    from harness.runs import sealing

    monkeypatch.setattr(sealing, "hash_stimuli", lambda: "0" * 64)
    monkeypatch.setattr(sealing, "MARGIN", 0.5)
    lines = differences(sealed())
    assert len(lines) == 2
    assert re.match(r"stimuli: sealed [0-9a-f]{12}, now 0{12}; the code that draws", lines[0])
    assert lines[1].startswith("the rule MARGIN: sealed 0.25, now 0.5; put it back")


def test_listing_what_would_run_is_held_to_the_seal_too(sealed):
    assert sealed(GOOD, "--collect-only", "-q").ret == pytest.ExitCode.OK
    other = sealed(GOOD, "--collect-only", "-q", "--seed", "3")
    assert other.ret == pytest.ExitCode.USAGE_ERROR
    assert "as it was sealed" not in other.stdout.str()


def test_listing_what_would_run_says_that_it_is_as_it_was_sealed(sealed, pytester, monkeypatch):
    digest = read_seal(pytester.path / "seal.json").digest
    said = f"--seal seal.json: all is as it was sealed: 5 claims, digest {digest}"
    listed = sealed(GOOD, "--collect-only", "-q").stdout.str()
    assert said in listed.splitlines()
    assert listed.index("test_holds") < listed.index(said)
    # A judged run says it in its scorecard.
    assert said not in sealed().stdout.str()
    monkeypatch.setattr("harness.runs.sealing.hash_code", lambda modules: "0" * 64)
    listed = sealed(GOOD, "--collect-only", "-q").stdout.str().splitlines()
    assert any(line.startswith(said) and line.endswith(" changed since") for line in listed)


def test_tests_without_any_claim_are_not_what_was_sealed(sealed):
    result = sealed("def test_nothing():\n    pass\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = differences(result)
    assert "now not there" in line


def test_an_edited_or_missing_seal_is_one_line_before_anything_is_measured(sealed, pytester):
    path = pytester.path / "seal.json"
    path.write_text(path.read_text().replace('"threshold": 0.5', '"threshold": 0.1', 1))
    result = sealed()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: seal.json: it was changed after it was written: *"])
    path.unlink()
    result = sealed()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: seal.json: No such file or directory; `claims seal seal.*"]
    )


def test_a_comparison_names_the_seal_of_either_side(sealed, run, pytester, capsys):
    here = pytester.path
    sealed(GOOD, "--scorecard", "after")
    run("--baseline", "none", "--scorecard", "before")
    digest = read_seal(here / "seal.json").digest
    capsys.readouterr()
    for pair, said in (
        (("before", "after"), ("the run was held to a seal", "the baseline was held to no seal")),
        (("after", "before"), ("the run was held to no seal", "the baseline was held to a seal")),
        (("after", "after"), ("both runs were held to one seal",)),
    ):
        assert main(["compare", *(str(here / name) for name in pair)]) == 0
        printed = " ".join(capsys.readouterr().out.split())
        assert all(text in printed for text in said)
        assert digest in printed
    main(["compare", str(here / "before"), str(here / "before"), "--json", str(here / "c.json")])
    assert "held to" not in capsys.readouterr().out
    assert json.loads((here / "c.json").read_text())["notes"] == []


@pytest.fixture
def with_workers(sealed, pytester, monkeypatch):
    """A function that runs made-up claims against the seal with two workers."""
    pytest.importorskip("xdist")
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "BINDING_CLAIMS_PLACED"):
        monkeypatch.delenv(name, raising=False)

    def go(claims, *options):
        return sealed(claims, "-n", "2", *options)

    return go


@pytest.mark.deep
def test_workers_judge_what_was_sealed_and_refuse_anything_else(with_workers, pytester):
    result = with_workers(GOOD.replace("above(0.5", "above(0.05"), "--seed", "3")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = differences(result)
    assert lines[0] == "seed: sealed 0, now 3; run with --seed 0"
    assert len(lines) == 6
    assert not list((pytester.path / "out" / "records").glob("*.json"))
    # The refusal of one run is not that of the next.
    with_workers(GOOD).assert_outcomes(passed=1, failed=3, skipped=1)
    told = scorecard(pytester)["run"]["seal"]
    assert told["digest"] == read_seal(pytester.path / "seal.json").digest

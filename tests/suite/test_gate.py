"""The gate as a release engineer uses it: --baseline, `claims compare`, `claims bless`, exit statuses."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from made_up import CLAIMS, scorecard

from harness.cli.main import main
from harness.judging.claim import above, claim
from harness.machine.files import FIXTURES
from harness.runs import baselines, journal
from harness.runs.conclusion import gather_run_facts
from harness.runs.options import Options
from harness.runs.planning import ClaimTest, note_collected
from harness.runs.run import Run
from harness.subjects.registry import find, read_registry

GOOD = CLAIMS.split('@stated("raises")')[0]
WEAKER = GOOD.replace("judge(around(0.9))", "judge(around(0.7))")
MORE = GOOD + '\n@stated("another")\ndef test_another(judge):\n    judge(around(0.9))\n'
FEWER = GOOD.replace('@stated("fails")\ndef test_fails', "def untested")
HALF = above(0.5, unit="r", origin="stated in the paper")
HOLDS = claim(id="made_up.1.holds", statement="So.", source="Nobody 2026", threshold=HALF)(
    lambda: None
).claim


@pytest.fixture
def before(run, pytester):
    """A function that runs claims against the baseline `before`, a scorecard of claims that end well."""
    pytester.makepyfile(test_made_up=GOOD)
    run("--baseline", "none", "--scorecard", "before")

    def against(claims, *options, out="after"):
        pytester.makepyfile(test_made_up=claims)
        return run("--baseline", "before", "--scorecard", out, *options)

    return against


def test_a_run_against_itself_is_green(before):
    result = before(GOOD)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*gate*", "*0 regressed, 5 unchanged*", "GREEN"])


def test_a_run_with_a_baseline_says_how_often_the_gate_is_wrong(before, pytester):
    before(GOOD).stdout.fnmatch_lines(["False alarms: *"])
    pages = {out: (pytester.path / out / "index.html").read_text() for out in ("before", "after")}
    assert {out: "False alarms: " in page for out, page in pages.items()} == {
        "before": False, "after": True
    }  # fmt: skip


def test_a_claim_that_is_weaker_is_red_though_it_still_holds(before):
    result = before(WEAKER)
    result.assert_outcomes(passed=1, xfailed=3, skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["REGRESSED made_up.1.holds*", "*lost more than 0.1 r*", "RED*"])


def test_a_control_among_the_subjects_does_not_silence_the_gate(before):
    result = before(WEAKER, "--subject", "planted")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*1 regressed, 4 unchanged*", "REGRESSED made_up.1.holds tiny-llava"]
    )


@pytest.mark.parametrize(
    ("claims", "said"), [(FEWER, "MISSING made_up.1.fails"), (MORE, "NEW made_up.1.another")]
)
def test_a_claim_that_was_deleted_or_added_is_red(before, claims, said):
    result = before(claims)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"{said}*"])


def test_claims_that_were_not_chosen_are_not_missing(before):
    result = before(GOOD, "-k", "holds", "--partial")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*0 regressed, 1 unchanged*"])


def test_other_trials_are_refused_and_red(before):
    result = before(GOOD, "--seed", "3")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["cannot be compared with the baseline: seed: 0 in *, 3 in *"])


def test_compare_says_the_same_as_the_run_and_ends_with_its_status(before, pytester, capsys):
    before(WEAKER)
    here = pytester.path
    files = ["--json", str(here / "c.json"), "--markdown", str(here / "c.md")]
    assert main(["compare", str(here / "before"), str(here / "after"), *files]) == 1
    assert "REGRESSED made_up.1.holds" in capsys.readouterr().out
    rows = {r["claim"]: r for r in json.loads((here / "c.json").read_text())["rows"]}
    assert rows["made_up.1.holds"]["difference"] == pytest.approx(-0.2)
    assert "paired" in rows["made_up.1.holds"]["method"]
    assert "| regressed | made_up.1.holds |" in (here / "c.md").read_text()
    assert main(["compare", str(here / "before"), str(here / "after"), "--margin", "0.9"]) == 0
    assert main(["compare", str(here / "before"), str(here / "after"), "--margin", "2"]) == 2
    assert "--margin 2.0: it must be above 0 and below 1" in capsys.readouterr().err
    assert main(["compare", str(here / "before"), str(here / "nowhere")]) == 2
    before(GOOD, "--seed", "3", out="other")
    assert main(["compare", str(here / "before"), str(here / "other")]) == 3


def test_a_loss_is_accepted_by_name_and_a_refusal_to_accept_is_written_as_red(
    before, pytester, capsys
):
    before(WEAKER)
    here = pytester.path
    compared = [
        "compare",
        str(here / "before"),
        str(here / "after"),
        "--json",
        str(here / "c.json"),
    ]
    assert main(compared) == 1
    accept = "--accept=made_up.1.holds=0.7 is enough"
    assert main([*compared, accept]) == 0
    rows = {r["claim"]: r for r in json.loads((here / "c.json").read_text())["rows"]}
    assert rows["made_up.1.holds"]["accepted"] == "0.7 is enough"
    assert rows["made_up.1.holds"]["reason"].startswith("lost more than")
    for refused, said in (
        (["--accept", "made_up.1.holds"], "--accept made_up.1.holds: no reason"),
        (["--accept", "made_up.1.fails=so"], "--accept made_up.1.fails: it is unchanged, and only"),
        ([accept, accept], "--accept made_up.1.holds: named twice"),
    ):
        capsys.readouterr()
        assert main([*compared, *refused]) == 2
        assert said in capsys.readouterr().err
        assert json.loads((here / "c.json").read_text())["red"] is True


def test_a_blessed_run_is_compared_scene_by_scene(before, pytester, capsys):
    here = pytester.path
    assert main(["bless", str(here / "before"), "--into", str(here / "blessed")]) == 0
    before(WEAKER)
    assert main(["compare", str(here / "blessed" / "tiny-llava.json"), str(here / "after")]) == 1
    assert "paired, 40 trials" in capsys.readouterr().out
    (here / "blessed" / "tiny-llava.evidence.json.gz").unlink()
    assert main(["compare", str(here / "blessed" / "tiny-llava.json"), str(here / "after")]) == 2
    assert "tiny-llava.evidence.json.gz is missing" in capsys.readouterr().err
    # An older baseline does not know that there was any.
    content = json.loads((here / "blessed" / "tiny-llava.json").read_text())
    del content["evidence_sha256"]
    (here / "blessed" / "tiny-llava.json").write_text(json.dumps(content))
    assert main(["compare", str(here / "blessed" / "tiny-llava.json"), str(here / "after")]) == 1
    assert "unpaired, from the two intervals" in capsys.readouterr().out


def test_a_run_that_says_less_replaces_no_baseline(before, run, pytester, capsys):
    here = pytester.path
    bless = ["bless", "--into", str(here / "blessed")]
    assert main([*bless, str(here / "before")]) == 0
    kept = {p.name: p.read_bytes() for p in (here / "blessed").iterdir()}
    before(GOOD.split('@stated("fails")')[0], "--subject", "tiny-qwen2-vl", out="narrow")
    before(GOOD, "--trials", "24", "--baseline", "none", out="short")
    target = here / "blessed" / "tiny-llava.json"
    capsys.readouterr()
    for out, said in (
        ("narrow", f"lacks 4 of the 5 claims of {target}, the first is made_up.1."),
        ("short", f"was made with --trials 24 and {target} without: bless a run without --trials"),
    ):
        assert main([*bless, str(here / out)]) == 2
        refusal = capsys.readouterr().err
        assert said in refusal
        assert f"delete {target} first if that is meant" in refusal
        assert {p.name: p.read_bytes() for p in (here / "blessed").iterdir()} == kept
    assert main([*bless, str(here / "before")]) == 0
    target.unlink()
    assert main([*bless, str(here / "short")]) == 0
    assert main([*bless, str(here / "before")]) == 0
    target.write_text("[]")
    assert main([*bless, str(here / "before")]) == 2
    assert "is not a baseline that can be read: delete" in capsys.readouterr().err


def test_to_bless_what_is_not_there_is_one_sentence(tmp_path, capsys):
    assert main(["bless", str(tmp_path / "nope")]) == 2
    assert f"{tmp_path / 'nope'}: no scorecard there; `pytest" in capsys.readouterr().err


def test_the_evidence_of_another_run_is_refused(before, pytester, capsys):
    """With the baseline's evidence in place of the run's own, nothing would seem to have changed."""
    before(WEAKER)
    name = "scorecard.evidence.json.gz"
    old, new = (pytester.path / folder for folder in ("before", "after"))
    (new / name).write_bytes((old / name).read_bytes())
    assert main(["compare", str(old), str(new)]) == 2
    assert "is not the evidence of" in capsys.readouterr().err
    assert main(["bless", str(new), "--into", str(pytester.path / "blessed")]) == 2


@pytest.mark.parametrize("content", ["[]", "{}", "null", '{"run": {}, "records": 3}'])
def test_only_a_scorecard_can_be_blessed(tmp_path, content, capsys):
    (tmp_path / "scorecard.json").write_text(content)
    assert main(["bless", str(tmp_path), "--into", str(tmp_path / "blessed")]) == 2
    assert "scorecard.json" in capsys.readouterr().err


def test_damaged_evidence_is_one_line_before_anything_is_measured(before, pytester):
    (pytester.path / "before" / "scorecard.evidence.json.gz").write_bytes(b"cut off")
    result = before(GOOD)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "is not the evidence of before/scorecard.json" in result.stderr.str()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_a_published_number_is_a_baseline(run, pytester):
    pytester.makepyfile(test_made_up=GOOD)
    held = run("-k", "holds", "--baseline", "published")
    held.assert_outcomes(passed=1)
    assert scorecard(pytester)["records"][0]["baseline"] == "supported"
    pytester.makepyfile(test_made_up=GOOD.replace("judge(around(0.9))", "judge(around(0.1))"))
    lost = run("-k", "holds", "--baseline", "published")
    lost.assert_outcomes(failed=1)
    lost.stdout.fnmatch_lines(["*was supported*"])


def test_a_baseline_is_found_by_its_subjects_name_however_odd(before, pytester, monkeypatch):
    monkeypatch.setattr(baselines, "BASELINES", pytester.path / "blessed")
    content = json.loads((pytester.path / "before" / "scorecard.json").read_text())
    for record in content["records"]:
        record["subject"] = "untrained:3/of mine"
    (pytester.path / "before" / "scorecard.json").write_text(json.dumps(content))
    main(["bless", str(pytester.path / "before"), "--into", str(pytester.path / "blessed")])
    found = baselines.find_baseline_file("untrained:3/of mine")
    assert found.parent.name == "blessed"
    with pytest.raises(baselines.BadOption, match="there are: untrained:3/of mine, published$"):
        baselines.find_baseline_file("nothing", "--baseline ")
    with pytest.raises(baselines.BadOption, match="there are: untrained:3/of mine$"):
        baselines.find_baseline_file("nothing")


def test_published_numbers_are_no_baseline_of_a_folder():
    entry = find(str(FIXTURES / "controls" / "planted"), read_registry())
    with pytest.raises(
        baselines.BadOption, match="no paper has numbers on ./planted, which comes from a folder"
    ):
        baselines.load_baselines("published", [entry])
    shipped = find("planted", read_registry())
    assert baselines.load_baselines("published", [shipped]) == {}


def test_what_was_found_out_on_loading_is_written_into_the_scorecard(run, pytester):
    options = Options(subjects=("qwen2-vl-7b", "tiny-llava"), records=pytester.path / "records")
    claims = Run(options, print)
    hub, tiny = claims.entries
    claims.begin()
    tests = [ClaimTest(f"t[{e.name}]", HOLDS, e, ()) for e in (hub, tiny)]
    note_collected(claims, tests, "main")

    def asked():
        found = claims.journal.read_collected()
        facts = gather_run_facts(claims, found)
        assert type(facts).from_json(json.loads(json.dumps(facts.to_json()))) == facts
        return facts.subjects

    known = {"dtype": "float32", "arrangement": "plain"}
    # What is known only once it is loaded is left out, not guessed.
    assert asked() == {"qwen2-vl-7b": {"dtype": "exact"}, "tiny-llava": known}
    settled = replace(hub, arrangement="chat")
    claims.holder.loaded(SimpleNamespace(commit="c" * 40, entry=settled))
    found = {"arrangement": "chat", "revision": "main", "commit": "c" * 40}
    assert asked() == {"qwen2-vl-7b": {"dtype": "exact", **found}, "tiny-llava": known}
    claims.begin()
    note_collected(claims, tests[1:], "main")
    assert asked() == {"tiny-llava": known}


def test_a_pinned_model_that_need_not_be_loaded_has_its_commit():
    entry = replace(read_registry()["llava-1.5-7b"], revision="d" * 40, arrangement="chat")
    found = {"arrangement": "chat", "revision": "d" * 40, "commit": "d" * 40}
    assert journal.gather_facts(entry) == {"dtype": "exact", **found}


def test_a_baseline_says_how_its_own_subject_was_asked(before, pytester):
    before(GOOD, "--subject", "tiny-qwen2-vl", out="both")
    here = pytester.path
    run_of_both = scorecard(pytester, "both")["run"]
    assert list(run_of_both["subjects"]) == ["tiny-llava", "tiny-qwen2-vl"]
    assert main(["bless", str(here / "both"), "--into", str(here / "blessed")]) == 0
    blessed = json.loads((here / "blessed" / "tiny-llava.json").read_text())["run"]
    assert blessed["subjects"] == {"tiny-llava": {"dtype": "float32", "arrangement": "plain"}}
    told = {"subjects": blessed["subjects"], "started": "", "command": ""}
    assert blessed == run_of_both | told

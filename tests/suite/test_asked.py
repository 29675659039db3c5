"""The dtype and arrangement of subjects: which options set them, which subjects keep their own."""

from __future__ import annotations

import shutil

import pytest
import xarray as xr
from made_up import CLAIMS, scorecard

from harness.cli.main import main
from harness.experiments import catalogue
from harness.measuring.experiment import Experiment
from harness.measuring.store import Store
from harness.runs import ahead
from harness.runs.baselines import BadOption
from harness.runs.options import Options
from harness.runs.run import Run
from harness.runs.selection import apply_asked, find_kept, select
from harness.subjects.registry import FIXTURES, UnknownSubject, find, read_registry

LOADS = CLAIMS.split('@stated("holds"')[0] + (
    """
from harness.suite.wiring import get_run

@stated("loads")
def test_loads(judge, request, entry):
    get_run(request.config).holder(entry)
    judge(around(0.9))

@stated("loads_again")
def test_loads_again(judge, request, entry):
    get_run(request.config).holder(entry)
    judge(around(0.9))
"""
)


@pytest.fixture
def loads(run, pytester):
    """A function that runs claims that load their subject on a folder."""
    pytester.makepyfile(test_made_up=LOADS)
    return lambda folder, *options: run("--baseline", "none", *options, subject=str(folder))


def how(*subjects, **asked):
    """Dtype and arrangement of each of the named subjects under some options."""
    entries = select(Options(subjects=tuple(map(str, subjects)), **asked))
    return [(e.dtype, e.arrangement) for e in entries]


def test_dtype_and_arrangement_apply_to_folders_and_models_of_the_hub(checkpoints, family_folders):
    folder, bare = family_folders["gemma3"], checkpoints["tiny-llava"]
    assert how(folder) == [("float32", "auto")]
    assert how(folder, dtype="float16") == [("float16", "auto")]
    assert how(folder, arrangement="plain") == [("float32", "plain")]
    both = {"dtype": "bfloat16", "arrangement": "prefilled"}
    assert how(folder, "qwen2-vl-7b", **both) == [("bfloat16", "prefilled")] * 2
    assert how(bare, arrangement="auto") == [("float32", "auto")]


def test_shipped_subjects_keep_their_own_dtype_beside_others(family_folders):
    named = (family_folders["gemma3"], "planted", "tiny-llava:shuffled")
    other = ("bfloat16", "auto")
    assert how(*named, dtype="bfloat16") == [other, ("float32", "plain"), ("float32", "plain")]
    options = Options(dtype="bfloat16")
    kept = find_kept(select(Options(subjects=tuple(map(str, named)))), options)
    assert [e.name for e in kept] == ["planted", "tiny-llava:shuffled"]
    said = []
    run = Run(Options(subjects=tuple(map(str, named)), dtype="bfloat16"), said.append)
    assert not said
    run.begin()
    assert said == [
        "--dtype bfloat16: not applied to planted, tiny-llava:shuffled, "
        "whose verdicts are compared with those found without it"
    ]


def test_dtype_is_refused_for_shipped_subjects_alone_but_not_for_their_folder(monkeypatch):
    said = "--dtype float16 --arrangement auto: not applied to tiny-llava, .* folder .--subject "
    with pytest.raises(BadOption, match=f"{said}fixtures/tiny-llava"):
        how("tiny-llava", "planted", dtype="float16", arrangement="auto")
    with pytest.raises(BadOption, match="not applied to untrained:3, .* name a folder, which is"):
        how("untrained:3", arrangement="auto")
    with pytest.raises(BadOption, match="not applied to tiny-qwen2-vl, tiny-llava, whose verdicts"):
        how(dtype="float16")
    # Its own dtype and arrangement may be asked for.
    assert how("planted", dtype="float32", arrangement="plain") == [("float32", "plain")]
    [entry] = select(Options(subjects=(str(FIXTURES / "tiny-llava"),), dtype="float16"))
    assert (entry.name, entry.dtype, entry.kind) == ("./tiny-llava", "float16", "local")


@pytest.mark.parametrize("arrangement", ["chat", "prefilled"])
def test_a_folder_without_a_chat_template_cannot_be_asked_in_a_chat(checkpoints, arrangement):
    with pytest.raises(BadOption, match=f"--arrangement {arrangement}: .* has no chat template"):
        how(checkpoints["tiny-llava"], arrangement=arrangement)


def test_a_dtype_that_does_not_exist_is_named():
    with pytest.raises(UnknownSubject, match="unknown dtype 'double'; known: float32, float16"):
        apply_asked(find("qwen2-vl-7b", read_registry()), "double", None)


@pytest.mark.parametrize(
    ("option", "known"),
    [("--dtype", "'float32', 'float16', 'bfloat16'"), ("--arrangement", "'plain', 'chat', ")],
)
def test_a_wrong_value_is_refused_with_the_possible_ones(run, capsys, option, known):
    result = run(option, "verse")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"{option}: invalid choice: 'verse' (choose from {known}" in result.stderr.str()
    for command in (["check-subject", "x"], ["measure"]):
        with pytest.raises(SystemExit) as ended:
            main([*command, option, "verse"])
        assert ended.value.code == 2
        assert "invalid choice: 'verse'" in capsys.readouterr().err


def test_the_scorecard_says_how_a_folder_was_asked(loads, pytester, family_folders):
    # Beside the claims, or pytest would look for its configuration beside the folder.
    result = loads(shutil.copytree(family_folders["pixtral"], pytester.path / "pixtral"))
    settled = scorecard(pytester)["run"]["subjects"]["pixtral"]
    assert settled["dtype"] == "float32"
    assert settled["arrangement"] in ("chat", "prefilled")
    result.stdout.fnmatch_lines(
        [
            f"*pixtral: arrangement: chat *: {settled['arrangement']}",
            f"*pixtral: asked {settled['arrangement']} (*; --arrangement asks it otherwise)",
        ]
    )
    page = (pytester.path / "out" / "index.html").read_text()
    assert f"Asked: pixtral: {settled['arrangement']}, float32." in page
    xml = (pytester.path / "out" / "scorecard.xml").read_text()
    assert f'name="subjects" value="pixtral: {settled["arrangement"]}, float32"' in xml


def test_a_folder_is_measured_in_its_half_precision_and_the_run_says_how_to_change_that(
    loads, pytester, checkpoints
):
    folder = halved(checkpoints["tiny-llava"], pytester.path / "half")
    said = loads(folder).stdout.str()
    assert scorecard(pytester)["run"]["subjects"] == {
        "half": {"dtype": "bfloat16", "arrangement": "plain"}
    }
    line = "half: measured in bfloat16, which rounds scores and is slow on a CPU; `--dtype float32`"
    assert said.count(line) == 1
    assert "measured in" not in loads(folder, "--dtype", "float32").stdout.str()
    assert scorecard(pytester)["run"]["subjects"]["half"]["dtype"] == "float32"


def halved(source, folder):
    """A copy of a checkpoint whose weights are in bfloat16."""
    from safetensors.torch import load_file, save_file

    path = shutil.copytree(source, folder) / "model.safetensors"
    halves = {name: value.bfloat16() for name, value in load_file(path).items()}
    save_file(halves, path, metadata={"format": "pt"})
    return folder


@pytest.mark.deep
def test_the_arrangement_that_workers_chose_is_in_the_scorecard(loads, pytester, monkeypatch):
    pytest.importorskip("xdist")
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "BINDING_CLAIMS_PLACED"):
        monkeypatch.delenv(name, raising=False)
    # Loading takes seconds in each worker, so here the holder is only told that it was done.
    settled = (
        "from dataclasses import replace\nfrom types import SimpleNamespace\n",
        "holder.loaded(SimpleNamespace(entry=replace(entry, arrangement='chat'), commit='c' * 40))",
    )
    text = settled[0] + LOADS.replace("holder(entry)", settled[1])
    pytester.makepyfile(test_made_up=text)
    result = loads("qwen2-vl-7b", "-n", "2", "--dtype", "bfloat16")
    assert result.ret == pytest.ExitCode.OK
    known = {"dtype": "bfloat16", "arrangement": "chat", "revision": "main", "commit": "c" * 40}
    assert scorecard(pytester)["run"]["subjects"] == {"qwen2-vl-7b": known}


def test_measuring_ahead_asks_the_same_here_and_in_a_task(
    family_folders, tmp_path, monkeypatch, capsys
):
    def measure(request):
        model, entry = request.subject.model, request.subject.entry
        return xr.Dataset({"x": 1}, attrs={"asked": f"{model.dtype} {entry.arrangement}"})

    noted = (Experiment("noted", measure, trials=24, source="made_up:noted"),)
    for where in (ahead, catalogue):
        monkeypatch.setattr(where, "EXPERIMENTS", noted)
    folder, store = str(family_folders["gemma3"]), tmp_path / "store"
    asked = ["--dtype", "float16", "--arrangement", "prefilled"]
    assert main(["measure", "--subject", folder, "--store", str(store), *asked]) == 0
    assert "gemma3: measured in float16, which rounds scores" in capsys.readouterr().out
    [kept] = store.glob("*.nc")
    assert Store(store).get(kept.stem).attrs["asked"] == "torch.float16 prefilled"
    options = Options(
        subjects=(folder,), dtype="float16", arrangement="prefilled", baseline="none", store=store
    )
    # The same key, so nothing was measured again.
    assert ahead._run_task(options, ahead.hash_experiments(), "gemma3", ["noted"]) == [
        ahead.Result(kept.stem, "")
    ]
    ahead._build_run.cache_clear()


def test_a_checkpoint_is_checked_as_it_would_be_asked(family_folders, monkeypatch, capsys):
    from harness.tracing import conformance

    monkeypatch.setattr(conformance, "check_conformance", lambda subject: [])
    folder = str(family_folders["gemma3"])
    assert main(["check-subject", folder]) == 0
    out = capsys.readouterr().out
    assert "float32, asked chat\n" in out or "float32, asked prefilled\n" in out
    assert main(["check-subject", folder, "--dtype", "bfloat16", "--arrangement", "plain"]) == 0
    out = capsys.readouterr().out
    first, asked, rounded, answers, words, last = out.splitlines()
    assert first.endswith("bfloat16, asked plain")
    assert asked.startswith("gemma3: asked plain (not auto, as a model of its family is by name: ")
    assert rounded.startswith("gemma3: measured in bfloat16, which rounds scores")
    assert answers.startswith("gemma3: answers sentences as in ")
    assert "(stimuli.toml in its folder can give it other words" in words
    assert last == "all checks passed"
    assert main(["check-subject", "tiny-llava", "--arrangement", "chat"]) == 2
    assert "tiny-llava has no chat template" in capsys.readouterr().err

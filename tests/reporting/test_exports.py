"""What a scorecard is handed to other tools as can be read back by them, and says the same."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from io import BytesIO, StringIO

import numpy as np
import pandas as pd
import pytest
import yaml
from cards import card, record
from eee_schema import find_faults
from huggingface_hub import ModelCard, parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results

from harness.cli.main import main
from harness.judging.evidence import save_evidence
from harness.machine.files import ROOT, write_json
from harness.reporting import badge, eee, frames, hub, markdown
from harness.reporting.scorecard import Scorecard
from harness.reporting.sides import DIGEST, find_evidence_file
from harness.statistics.evidence import Evidence

SCENES = ("s1", "s1", "s2")
EVIDENCE = {
    ("p.1.a", "tiny"): Evidence(np.array([1.0, 0.0, 1.0]), SCENES),
    ("p.1.b", "tiny"): Evidence(np.array([0.25, -1.5])),
    ("p.1.a", "org/other"): Evidence(np.array([0.1, -2.0, 0.7]), SCENES),
}


@pytest.fixture
def made() -> Scorecard:
    exact = {"estimate": -0.4, "ci_low": 0.1 + 0.2, "ci_high": 1 / 3, "p_value": 1e-300, "n": 3}
    return card(
        record("p.1.a", estimate=2 / 3, n=3, clusters=2, direction="above", published=0.7),
        record("p.1.b", verdict="refuted", estimate=-0.625, ci_low=-1.5, ci_high=0.25),
        record("p.1.c", verdict="blocked", reason="fails the task"),
        record("p.1.a", "org/other", "inconclusive", baseline="supported", **exact),
        record("reproduction.x.y", "org/other"),
        missing=[("p.2.lost", "tiny")],
    )  # fmt: skip


@pytest.fixture
def folder(made, tmp_path):
    """The folder of a run; its scorecard knows its evidence."""
    path = tmp_path / "run" / "scorecard.json"
    path.parent.mkdir()
    digest = save_evidence(find_evidence_file(path), EVIDENCE)
    write_json(path, {**made.to_json(), DIGEST: digest})
    return path.parent


def export(folder, *options) -> None:
    assert main(["export", str(folder), *map(str, options)]) == 0


def same_values(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False, check_exact=True)


def test_parquet_comes_back_with_its_types_and_what_it_is_about(made, folder, tmp_path):
    export(folder, "--format", "parquet", "--out", tmp_path / "v.parquet")
    read = pd.read_parquet(tmp_path / "v.parquet")
    same_values(read, made.frame())
    assert list(read.dtypes.map(str)) == list(made.frame().dtypes.map(str))
    assert read["verdict"].cat.ordered
    assert read.attrs["run"]["claims_hash"] == made.run.claims_hash
    assert read.attrs["missing"] == [["p.2.lost", "tiny"]]


def test_json_comes_back_by_pandas_and_with_every_digit_by_any_reader(made, folder, capsys):
    export(folder, "--format", "json")
    text = capsys.readouterr().out
    rows = json.loads(text)["data"]
    assert [row["p_value"] for row in rows] == [r.p_value for r in made.records]
    assert [row["estimate"] for row in rows] == [r.estimate for r in made.records]
    read = pd.read_json(StringIO(text), orient="table", precise_float=True)
    same_values(
        read[["claim", "verdict", "n", "control"]],
        made.frame()[["claim", "verdict", "n", "control"]],
    )


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_evidence_is_a_table_of_trials_with_their_scenes(folder, tmp_path, form):
    out = tmp_path / f"evidence.{form}"
    export(folder, "--evidence", "--format", form, "--out", out)
    if form == "csv":
        read = pd.read_csv(out)
    elif form == "json":
        read = pd.read_json(out, orient="table", precise_float=True)
    else:
        read = pd.read_parquet(out)
    assert list(read.columns) == list(frames.EVIDENCE_COLUMNS)
    own = read[(read.claim == "p.1.a") & (read.subject == "tiny")]
    assert own.value.tolist() == [1.0, 0.0, 1.0]
    assert own.scene.tolist() == list(SCENES)
    assert set(own.kind) == {"trial"}
    draws = read[read.claim == "p.1.b"]
    assert draws.kind.tolist() == ["draw", "draw"]
    assert draws.scene.isna().all()


def test_the_mean_of_the_exported_trials_is_the_estimate(made, folder, tmp_path):
    export(folder, "--evidence", "--format", "parquet", "--out", tmp_path / "e.parquet")
    found = pd.read_parquet(tmp_path / "e.parquet").groupby(["claim", "subject"]).value.mean()
    for r in made.records:
        if (r.claim, r.subject) in EVIDENCE:
            assert found[r.claim, r.subject] == pytest.approx(r.estimate)


def test_tables_without_rows_have_the_same_columns_and_types():
    empty, some = frames.frame_evidence({}), frames.frame_evidence(EVIDENCE)
    assert empty.dtypes.to_dict() == some.dtypes.to_dict()
    assert list(frames.COLUMNS) == list(card().frame().columns)


def test_every_column_is_described_in_the_documents():
    text = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
    for columns in (frames.COLUMNS, frames.EVIDENCE_COLUMNS):
        table = "\n".join(f"| `{name}` | {what} |" for name, what in columns.items())
        assert table in text, "docs/exports.md should have this table:\n" + table


def test_only_the_subjects_that_are_named_are_exported(folder, capsys):
    export(folder, "--subject", "org/other", "--evidence")
    assert set(pd.read_csv(StringIO(capsys.readouterr().out)).subject) == {"org/other"}


def test_every_eval_ever_is_valid_and_nothing_is_lost(made, folder, tmp_path):
    out = tmp_path / "eee"
    export(folder, "--format", "eee", "--out", out, "--model", "tiny=org/tiny-model")
    files = {p.relative_to(out).as_posix(): p.read_text() for p in out.rglob("*") if p.is_file()}
    assert find_faults(files) == []
    [path] = [
        p
        for p in files
        if p.startswith("data/binding-claims/org/tiny-model/") and p.endswith(".json")
    ]
    content = json.loads(files[path])
    scores = {r["evaluation_name"]: r["score_details"] for r in content["evaluation_results"]}
    assert scores["p.1.a"]["score"] == 2 / 3
    assert scores["p.1.b"]["details"]["verdict"] == "refuted"
    without = json.loads(content["source_metadata"]["additional_details"]["without_score"])
    assert without == {"p.1.c": "blocked: fails the task", "p.2.lost": "no verdict came back"}
    rows = [
        json.loads(line)
        for line in files[content["detailed_evaluation_results"]["file_path"]].splitlines()
    ]
    # The draws of p.1.b are no trials.
    assert [(r["evaluation_name"], r["evaluation"]["score"], r["evaluation"]["is_correct"]) for r in rows] == [
        ("p.1.a", 1.0, True), ("p.1.a", 0.0, False), ("p.1.a", 1.0, True),
    ]  # fmt: skip


def test_the_schemas_of_every_eval_ever_find_what_is_wrong(made):
    files = eee.write(made, EVIDENCE, {})
    path = next(p for p in files if p.endswith(".json"))
    for old, new in (
        ('"lower_is_better": false', '"lower_is_better": "no"'),
        ('"score_type": "continuous"', '"score_type": "grade"'),
        ('"hash_algorithm": "sha256"', '"hash_algorithm": "crc"'),
        ('"schema_version": "0.3.0"', '"schema_version": "9"'),
        ('"total_rows": 3', '"total_rows": 4'),
    ):
        assert old in files[path]
        assert find_faults({**files, path: files[path].replace(old, new, 1)})
    assert find_faults({path.replace("data/", "elsewhere/"): files[path]})


def test_the_same_scorecard_gives_the_same_files(made):
    again = Scorecard.from_json(json.loads(json.dumps(made.to_json())))
    assert eee.write(made, EVIDENCE, {}) == eee.write(again, EVIDENCE, {})
    assert hub.write(made, {}, "org/bench") == hub.write(again, {}, "org/bench")
    assert markdown.write(made) == markdown.write(again)


def test_results_for_the_hub_are_read_back_by_its_own_library(made, folder, tmp_path):
    out = tmp_path / "hf"
    where = "https://example.org/card"
    export(folder, "--format", "hf", "--out", out, "--benchmark", "org/binding", "--source", where)
    [entry] = parse_eval_result_entries(
        yaml.safe_load((out / "tiny/.eval_results/binding-claims.yaml").read_text())
    )
    assert (entry.dataset_id, entry.task_id, entry.source_url) == ("org/binding", "p", where)
    # One of a, b, c and the lost one: what failed the task was asked, too.
    assert entry.value == 1 / 4
    text = (out / "tiny" / "model-index.yaml").read_text()
    name, results = model_index_to_eval_results(yaml.safe_load(text)["model-index"])
    assert name == "tiny"
    assert {r.metric_type: r.metric_value for r in results} == {"p.1.a": 2 / 3, "p.1.b": -0.625}
    assert results[0].metric_args["verdict"] == "supported"
    index = ModelCard(f"---\n{text}---\n# A model\n").data
    assert index.eval_results == results


def test_without_a_benchmark_there_is_no_folder_of_results_and_it_says_why(
    folder, tmp_path, capsys
):
    export(folder, "--format", "hf", "--out", tmp_path / "hf")
    assert not list((tmp_path / "hf").rglob(".eval_results"))
    assert "--benchmark" in capsys.readouterr().err


def test_the_badge_counts_what_was_asked_of_papers_themselves(made):
    assert badge.tally(made, "tiny") == {"p": (1, 4)}
    # A deviation of the reproduction that is confirmed is no binding.
    assert badge.tally(made, "org/other") == {"p": (0, 1)}
    root = ET.fromstring(badge.draw(made, "tiny"))
    texts = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["binding", "1/4 supported"]
    assert "partial run" in badge.draw(card(record(), partial=True), "tiny")


def test_a_claim_that_was_not_asked_is_in_no_count():
    made = card(
        record("p.1.a"),
        record("p.1.b", verdict="not_run"),
        record("p.1.c", verdict="not_applicable"),
    )
    assert badge.describe(made, "tiny") == "1/1 supported"


def test_a_badge_of_several_subjects_asks_for_one(folder, capsys):
    assert main(["export", str(folder), "--format", "badge"]) == 2
    assert "--subject (tiny, org/other)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "parquet"], "name a file with --out"),
        (["--format", "eee"], "name one that is there or new with --out"),
        (["--evidence", "--format", "badge"], "--evidence is for csv, json, parquet"),
        (["--benchmark", "a/b"], "--benchmark is for --format hf"),
        (["--subject", "nobody"], "has no subject nobody; it has tiny, org/other"),
        (["--format", "hf", "--out", "x", "--model", "nobody=a/b"], "give NAME=ID"),
    ],
)
def test_options_that_do_not_fit_are_refused(folder, tmp_path, capsys, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(folder), *options]) == 2
    assert said in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_summary_begins_with_its_marker_and_says_what_fails(made):
    text = markdown.write(made, "https://example.org/card")
    lines = text.splitlines()
    assert lines[0] == markdown.MARKER
    assert lines[1] == "### Binding claims: RED"
    assert "https://example.org/card" in text
    assert "**Fails the run**" in text
    assert "inconclusive (was supported)" in text
    assert "1/4 supported" in text


def test_a_summary_has_room_for_few_and_counts_the_rest():
    many = card(*(record(f"p.1.c{i}", verdict="refuted", reason="why " * 90) for i in range(900)))
    text = markdown.write(many)
    assert len(text) <= markdown.LONGEST
    assert "more of these stand in the scorecard alone" in text
    assert text.count("<code>") == text.count("</code>")
    assert text.rstrip().endswith("</details>")


def test_a_scorecard_without_records_can_be_summarised():
    assert "GREEN" in markdown.write(card())
    assert BytesIO(frames.to_parquet(card().frame())).getvalue()[:4] == b"PAR1"

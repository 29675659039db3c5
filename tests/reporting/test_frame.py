"""A scorecard as a table for pandas, and as CSV: the same numbers, whatever the texts hold."""

from __future__ import annotations

import json
from dataclasses import fields
from io import StringIO

import pandas as pd
import pytest
from cards import card, record

from harness.cli.main import main
from harness.judging.record import Record
from harness.judging.verdict import Verdict
from harness.machine.files import write_json
from harness.reporting.scorecard import Scorecard

NASTY = 'one, "two"\nthree; ü漢字 \t=1+1'


@pytest.fixture
def made():
    third = {"estimate": 1 / 3, "ci_low": 0.1 + 0.2, "ci_high": 2 / 3, "p_value": 1e-300}
    return card(
        record("p.1.a", verdict="supported", published=0.7, baseline="supported", measurement="k1"),
        record("p.1.b", verdict="refuted", reason=NASTY, **third),
        record("p.1.c", "org/model", verdict="blocked", seconds=None, control=True),
    )


def test_the_columns_are_the_contract_of_the_record_with_usable_types(made):
    table = made.frame()
    assert list(table.columns) == [f.name for f in fields(Record)]
    assert len(table) == 3
    numbers = ["estimate", "ci_low", "ci_high", "threshold", "published", "seconds", "p_value"]
    assert {str(table[name].dtype) for name in numbers} == {"float64"}
    assert {str(table[name].dtype) for name in ("n", "clusters", "seed")} == {"int64"}
    assert table["control"].dtype == bool
    assert table["verdict"].cat.categories.tolist() == [str(v) for v in Verdict]
    assert table["verdict"].cat.ordered
    texts = set(table.columns) - {*numbers, "n", "clusters", "seed", "control", "verdict"}
    assert {str(table[name].dtype) for name in texts} == {"str"}


def test_a_number_is_missing_only_where_the_record_has_null(made):
    table = made.frame()
    for name in table.columns:
        null = [getattr(r, name) is None for r in made.records]
        assert table[name].isna().tolist() == null, name
    assert table["estimate"].tolist()[:2] == [r.estimate for r in made.records][:2]


def test_an_empty_scorecard_has_the_same_columns_of_the_same_types(made):
    empty = card().frame()
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == made.frame().dtypes.to_dict()


@pytest.fixture
def folder(made, tmp_path):
    write_json(tmp_path / "run" / "scorecard.json", made.to_json())
    return tmp_path / "run"


def test_exported_numbers_and_texts_come_back_as_they_were(made, folder, capsys):
    assert main(["export", str(folder)]) == 0
    text = capsys.readouterr().out
    read = pd.read_csv(StringIO(text))
    table = made.frame()
    assert list(read.columns) == list(table.columns)
    for name in table.select_dtypes(["float64", "int64", "bool"]):
        pd.testing.assert_series_equal(read[name].astype(table[name].dtype), table[name])
    assert read["reason"].tolist() == table["reason"].tolist()
    assert read["reason"][1] == NASTY
    assert read["verdict"].tolist() == ["supported", "refuted", "blocked"]


def test_the_same_scorecard_gives_the_same_bytes_on_screen_and_in_a_file(folder, tmp_path, capsys):
    out = tmp_path / "table.csv"
    assert (
        main(["export", str(folder / "scorecard.json"), "--format", "csv", "--out", str(out)]) == 0
    )
    assert capsys.readouterr().out == ""
    assert main(["export", str(folder)]) == 0
    assert capsys.readouterr().out.encode() == out.read_bytes()


def test_a_table_cannot_be_written_over_a_folder(tmp_path, capsys):
    (tmp_path / "scorecard.json").write_text("{}")
    assert main(["export", str(tmp_path), "--out", str(tmp_path)]) == 2
    said = f"--out {tmp_path} is a folder: name a file, such as {tmp_path / 'verdicts.csv'}\n"
    assert capsys.readouterr().err == f"claims export: {said}"


@pytest.mark.parametrize("content", [None, "[]", '{"run": {}}', "{"])
def test_what_is_no_scorecard_is_refused_in_one_line(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "scorecard.json").write_text(content)
    assert main(["export", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("claims export: ")
    assert said.err.count("\n") == 1
    assert str(tmp_path) in said.err


def test_a_scorecard_read_back_gives_the_same_table(made):
    again = Scorecard.from_json(json.loads(json.dumps(made.to_json())))
    pd.testing.assert_frame_equal(again.frame(), made.frame())

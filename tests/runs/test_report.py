"""The commands that draw again: pages from records, figures from a store, a page of a comparison."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "reporting"))

from cards import record
from measurements import mediation, similarity
from scored import first, measured, side

from harness.cli.main import main
from harness.judging.evidence import save_evidence
from harness.machine.files import write_json
from harness.measuring.store import Store
from harness.reporting.sides import DIGEST, find_evidence_file


def save(found, folder):
    """A folder as --scorecard leaves it."""
    folder.mkdir()
    path = folder / "scorecard.json"
    digest = save_evidence(find_evidence_file(path), found.evidence)
    write_json(path, {**found.card.to_json(), DIGEST: digest})
    return str(folder)


@pytest.fixture
def run(tmp_path):
    """A run of one subject with a store, and the names of both folders."""
    store = Store(tmp_path / "store")
    store.put("k1", similarity().assign_attrs(experiment="similarity", subject="tiny"), {})
    store.put("k2", mediation().assign_attrs(experiment="mediation", subject="tiny"), {})
    records = [record("p.1.a", measurement="k1"), record("p.1.b", measurement="k2")]
    return save(side(*((r, None) for r in records)), tmp_path / "out"), str(tmp_path / "store")


def test_pages_are_written_again_from_records_and_store(run, tmp_path, capsys):
    folder, store = run
    assert main(["report", folder, "--store", store]) == 0
    page = Path(folder, "index.html").read_bytes()
    assert page.count(b'<img src="data:image/svg') == 3
    assert "wrote " in capsys.readouterr().out
    assert main(["report", folder, "--store", store, "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "index.html").read_bytes() == page


def test_without_a_store_there_are_verdicts_and_no_figures(run, tmp_path):
    folder, _ = run
    assert main(["report", folder, "--store", str(tmp_path / "nowhere")]) == 0
    page = Path(folder, "index.html").read_text()
    assert "No measurement of this claim is in the store" in page
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_without_a_scorecard_is_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "no scorecard there" in capsys.readouterr().err


def test_a_comparison_has_a_page_and_a_refused_one_replaces_it(tmp_path, capsys):
    before, after = (
        save(side(measured(first(share))), tmp_path / name)
        for name, share in (("before", 0.9), ("after", 0.2))
    )
    page = tmp_path / "lost.html"
    assert main(["compare", before, after, "--html", str(page)]) == 1
    assert "1 regressed" in page.read_text()
    other = save(side(measured(first(0.9)), seed=8), tmp_path / "other")
    assert main(["compare", before, other, "--html", str(page)]) == 3
    assert "cannot be compared" in page.read_text()
    assert "1 regressed" not in page.read_text()
    capsys.readouterr()

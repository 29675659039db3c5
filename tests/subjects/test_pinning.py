"""The commit of a revision is found, reported and written down; nothing else in the registry changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hub import COMMIT, cached

from harness.cli import main as cli
from harness.measuring.experiment import Experiment
from harness.measuring.measuring import Measuring
from harness.measuring.store import Store
from harness.runs.subject_holder import SubjectHolder
from harness.subjects import pinning, registry
from harness.subjects.contents import take_fingerprint
from harness.subjects.loading import load
from harness.subjects.pinning import CannotPin, is_pinned, pin, resolve_commit
from harness.subjects.registry import BYTES, Entry, read_registry

HUB = Entry("mine", "qwen2_vl", "someone/mine", "hub", revision="main", scale="embedded")

TOML = """\
# Mine.
[tiny]
family = "llava"
source = "tiny"
kind = "embedded"

["mine-1.5"]  # theirs, really
family = "qwen2_vl"
source = "someone/mine"
kind = "hub"
revision = "main"  # follows
# why chat
arrangement = "chat"

[other]
family = "qwen2_vl"
source = "someone/other"
kind = "hub"
revision = "main"
"""


@pytest.fixture
def mine(offline, family_folders):
    return cached(offline, "someone/mine", family_folders["qwen2_vl"])


@pytest.fixture
def toml(tmp_path, monkeypatch):
    path = tmp_path / "subjects.toml"
    path.write_text(TOML)
    monkeypatch.setattr(registry, "FIXTURES", tmp_path)
    monkeypatch.setattr(pinning, "FIXTURES", tmp_path)
    return path


def test_the_loader_knows_the_commit_of_main(mine):
    subject = load(HUB)
    assert subject.commit == COMMIT
    assert subject.fingerprint == take_fingerprint(replace(HUB, revision=COMMIT))
    assert subject.fingerprint != take_fingerprint(HUB)


def test_a_pinned_repository_is_loaded_at_that_commit(mine):
    assert load(replace(HUB, revision=COMMIT)).commit == COMMIT


def test_a_run_says_what_main_was_and_how_to_pin_it(mine):
    said = []
    holder = SubjectHolder("cpu", "sdpa", said.append)
    holder(HUB)
    assert said[-1] == (
        f"mine: revision followed main, resolved to {COMMIT}; pin it with `claims pin mine`"
    )
    said.clear()
    holder(replace(HUB, revision=COMMIT))
    assert not [line for line in said if "pin" in line]


def test_a_commit_is_40_digits_and_a_branch_is_none():
    assert is_pinned(replace(HUB, revision=COMMIT))
    assert not any(is_pinned(replace(HUB, revision=r)) for r in ("", "main", "v1", COMMIT[:12]))
    assert is_pinned(replace(HUB, kind="local"))


def test_every_published_model_has_an_entry_that_tells_its_memory():
    hub = [e for e in read_registry().values() if e.kind == "hub"]
    assert len(hub) >= 13
    assert all(
        e.revision and e.licence and e.memory_gib > BYTES[e.dtype] * e.parameters / 1.074
        for e in hub
    )
    by_name = {e.name: e for e in hub}
    assert by_name["qwen2-vl-7b"].memory_gib == 17
    assert replace(by_name["qwen2-vl-7b"], dtype="float32").memory_gib == 34


def test_pinning_changes_one_line(mine, toml, capsys):
    assert cli.main(["pin", "mine-1.5"]) == 0
    assert toml.read_text() == TOML.replace('"main"  # follows', f'"{COMMIT}"  # follows')
    assert capsys.readouterr().out == f"mine-1.5: pinned to {COMMIT}\n"
    assert cli.main(["pin", "mine-1.5", "tiny"]) == 0
    out = capsys.readouterr().out
    assert out == (
        f"mine-1.5: nothing to pin ({COMMIT})\ntiny: nothing to pin (it ships with the project)\n"
    )
    assert [p.name for p in toml.parent.glob("subjects*")] == ["subjects.toml"]


def test_all_pins_every_subject_whose_commit_is_known(mine, toml, capsys):
    assert cli.main(["pin", "--all"]) == 2
    out, err = capsys.readouterr()
    assert out == f"mine-1.5: pinned to {COMMIT}\n"
    assert "other: what main of someone/other stands for cannot be found out here" in err
    assert "hf download someone/other" in err
    assert toml.read_text().count(COMMIT) == 1


def test_an_unknown_name_pins_nothing(toml, capsys):
    assert cli.main(["pin", "mine-1.5", "theirs"]) == 2
    assert "not in fixtures/subjects.toml: theirs" in capsys.readouterr().err
    assert toml.read_text() == TOML


def test_an_entry_without_a_revision_line_is_an_error(toml):
    with pytest.raises(CannotPin, match=r'\[tiny\] with a line revision = "\.\.\." is not there'):
        pin(Entry("tiny", "llava", "tiny", "hub"), COMMIT, toml)


def test_a_folder_with_the_name_of_a_repository_has_no_commit(
    offline, family_folders, tmp_path, monkeypatch
):
    import shutil

    shutil.copytree(family_folders["qwen2_vl"], tmp_path / "someone" / "mine")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CannotPin, match="not of which commit it is"):
        resolve_commit(HUB)


@pytest.mark.parametrize(
    ("entry", "loads"),
    [
        (HUB, 1),
        (replace(HUB, revision=COMMIT), 0),
        (replace(HUB, revision=COMMIT, arrangement="auto"), 1),
    ],
)
def test_a_stored_measurement_is_found_without_loading_if_its_key_is_known_before(
    mine, tmp_path, entry, loads
):
    import xarray as xr

    experiment = Experiment("none", lambda _: xr.Dataset({"x": 1}), trials=8, source="made_up:none")
    asked = []

    def subject_of(entry):
        asked.append(entry)
        return load(replace(entry, arrangement="chat"))

    for _ in range(2):
        asked.clear()
        measuring = Measuring(
            Store(tmp_path / "store"),
            subject_of,
            trials=None,
            seed=0,
            setting={},
            say=lambda line: None,
        )
        measuring.measure(experiment, entry)
    assert len(asked) == loads

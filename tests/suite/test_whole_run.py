"""The suite as people run it: killed and run again, repeated, and with a claim of the user's."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from safetensors.torch import load_file, save_file

from harness.judging.controls import read_expected
from harness.machine.files import ROOT

pytestmark = pytest.mark.deep

COMMAND = [
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "--subject",
    "tiny-llava",
    "--trials",
    "24",
    "--baseline",
    "none",
]


def start(folder, *options, cwd=ROOT, claims="claims", **setting):
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **setting}
    return subprocess.Popen(
        [*COMMAND, claims, "--store", str(folder / "store"), "--scorecard", str(folder / "out"), *options],
        cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def finish(process):
    printed, _ = process.communicate(timeout=240)
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, printed
    return printed


def without_timings(folder):
    content = json.loads((folder / "out" / "scorecard.json").read_text())
    assert content["run"]["state"] == "finished"
    del content["run"]["started"], content["run"]["command"]
    for record in content["records"]:
        del record["seconds"]
    return content


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, finish(start(folder))


def test_every_claim_has_a_record_and_the_pictures_are_drawn(undisturbed):
    folder, printed = undisturbed
    content = without_timings(folder)
    assert content["missing"] == []
    assert "error" not in {r["verdict"] for r in content["records"]}
    assert {r["measurement"] is not None for r in content["records"]} == {True}
    for name in ("behaviour", "similarity", "components", "mediation"):
        assert f"measured {name} on tiny-llava" in printed
    page = (folder / "out" / "index.html").read_text()
    drawn = {p.name.partition("--")[0] for p in (folder / "out" / "figures").glob("*.svg")}
    assert drawn >= {"story", "similarity", "components", "mediation", "blocks", "steering", "keys"}
    assert page.count('<img src="data:image/svg') == len(drawn)
    assert "In this image there is" in page
    assert "://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)


def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(undisturbed, tmp_path):
    some = ("-k", "scene_description or 3_3_similarity")
    process = start(tmp_path, *some)
    for line in process.stdout:
        if "measured behaviour" in line:
            break
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    begun = json.loads((tmp_path / "out" / "scorecard.json").read_text())
    assert (begun["run"]["state"], begun["records"]) == ("begun", [])
    printed = finish(start(tmp_path, *some))
    assert "measured behaviour" not in printed
    assert "measured similarity" in printed
    other = tmp_path / "undisturbed"
    shutil.copytree(undisturbed[0] / "store", other / "store")
    assert "measured" not in finish(start(other, *some)).split("scorecard")[0]
    assert without_timings(tmp_path) == without_timings(other)


def test_another_seed_gives_other_measurements(undisturbed, tmp_path):
    finish(start(tmp_path, "--seed", "1", "-k", "scene_description"))
    first = {r["claim"]: r for r in without_timings(undisturbed[0])["records"]}
    keys = {
        r["measurement"] == first[r["claim"]]["measurement"]
        for r in without_timings(tmp_path)["records"]
    }
    assert keys == {False}


def test_two_workers_elsewhere_in_another_time_give_the_records_of_one(undisturbed, tmp_path):
    """The same seed gives the same scorecard, whatever the hash seed, time zone, locale and processes."""
    setting = {"PYTHONHASHSEED": "7", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}
    printed = finish(start(tmp_path, "-n", "2", **setting))
    # Each experiment was measured once, by one of the two.
    measured = re.findall(r"gw[01]: measured (\w+) on tiny-llava", printed)
    assert len(measured) == len(set(measured)) >= 18
    assert without_timings(tmp_path) == without_timings(undisturbed[0])


def test_a_second_run_measures_nothing_and_says_so_before(undisturbed):
    folder, _ = undisturbed
    kept = len(list((folder / "store").glob("*.nc")))
    # -v cancels the -q.
    printed = finish(start(folder, "-v"))
    claims = len({claim for claim, _ in read_expected()})
    told = f"{claims} claims on tiny-llava: about 5 s; {kept} of {kept} measurements are in"
    assert told in printed
    assert "measured" not in printed.split("scorecard")[0]
    alone = finish(start(folder, "-v", "-k", "features_at_last"))
    assert "1 claim on tiny-llava: about 5 s; 3 of 3 measurements are in" in alone


def test_the_readmes_claim_shows_up_in_the_scorecard(undisturbed, tmp_path):
    snippet = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    assert len(snippet.strip().splitlines()) <= 20
    claims = tmp_path / "claims" / "mine"
    claims.mkdir(parents=True)
    shutil.copy(ROOT / "conftest.py", tmp_path / "conftest.py")
    (claims / "test_mine.py").write_text(snippet)
    shutil.copytree(undisturbed[0] / "store", tmp_path / "store")
    process = start(tmp_path, cwd=tmp_path)
    printed, _ = process.communicate(timeout=120)
    assert (
        "visual_symbols.3.3.features_somewhere" in (tmp_path / "out" / "scorecard.json").read_text()
    ), printed
    assert "features somewhere" in printed


def test_weights_that_are_not_numbers_are_an_error_for_every_claim_and_lose_nothing(
    undisturbed, tmp_path
):
    broken = shutil.copytree(ROOT / "fixtures" / "tiny-llava", tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    next(iter(tensors.values())).view(-1)[0] = float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    shutil.copytree(undisturbed[0] / "store", tmp_path / "store")
    process = start(tmp_path, "--subject", str(broken))
    printed, _ = process.communicate(timeout=240)
    assert process.returncode == pytest.ExitCode.TESTS_FAILED
    assert "Traceback" not in printed
    records = json.loads((tmp_path / "out" / "scorecard.json").read_text())["records"]
    verdicts = {
        s: {r["verdict"] for r in records if r["subject"] == s} for s in ("broken", "tiny-llava")
    }
    assert verdicts["broken"] == {"error"}
    assert "error" not in verdicts["tiny-llava"]
    assert {"not finite" in r["reason"] for r in records if r["subject"] == "broken"} == {True}

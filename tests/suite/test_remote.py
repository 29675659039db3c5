"""--remote in pytest: the real claims on a control whose runs are packed and unpacked as if they were sent."""

from __future__ import annotations

import json

import pytest

# pytester forgets what a run imported, and torch and transformers cannot be imported twice.
import harness.subjects.loading
import harness.tracing.elsewhere  # noqa: F401
from harness.machine.files import ROOT

pytestmark = pytest.mark.deep

CLAIMS = ("3_4 and id_selection", "one_pair_selection")


@pytest.fixture
def judged(pytester):
    """A function that runs claims with options and returns the result, the facts and the records by claim."""

    def go(*options):
        chosen = [str(ROOT / "claims"), "-k", " or ".join(f"({c})" for c in CLAIMS)]
        result = pytester.runpytest_inprocess(
            *chosen, "--rootdir", str(ROOT), "-p", "no:cacheprovider", "--subject", "planted",
            "--trials", "24", "--baseline", "none", "--store", "store", "--scorecard", "out", *options,
        )  # fmt: skip
        content = json.loads((pytester.path / "out" / "scorecard.json").read_text())
        return result, content["run"], {r["claim"]: r for r in content["records"]}

    return go


def test_claims_on_layers_elsewhere_end_as_they_do_here(judged):
    _, run, here = judged()
    result, sent, there = judged("--remote", "local")
    assert (run["device"], sent["device"]) == ("cpu", "cpu + local")
    result.stdout.fnmatch_lines(["*loaded planted: * layers on local; hooks checked"])
    assert set(there) == set(here)
    selection = "visual_symbols.3.4.id_selection"
    assert there[selection]["verdict"] == here[selection]["verdict"] == "supported"
    assert there[selection]["estimate"] == pytest.approx(here[selection]["estimate"], rel=1e-4)
    # The two have different keys, since numbers computed elsewhere may differ in the last bits.
    assert there[selection]["measurement"] != here[selection]["measurement"]
    copied = there["reproduction.mediation.one_pair_selection"]
    assert copied["verdict"] == "not_run"
    assert "--remote local" in copied["reason"]

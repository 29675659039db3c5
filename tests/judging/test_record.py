"""Records hold finite numbers or a reason, survive the disk, and are never half written."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judging import record as module
from harness.judging.claim import Claim, above
from harness.judging.record import (
    SCHEMA,
    Record,
    Run,
    load_records,
    read_json,
    save_record,
    write_json,
)
from harness.judging.stats import Estimate, mean
from harness.judging.verdict import Judgement, Verdict, decide

CLAIM = Claim(
    "visual_symbols.3.3.order",
    "Position comes first.",
    "Assouel et al. 2026, section 3.3",
    above(0, unit="layers", origin="stated in the paper", exceptions={"llava": 2}),
    {"qwen": 4},
)
KEYS = [
    "claim",
    "statement",
    "source",
    "subject",
    "family",
    "verdict",
    "estimate",
    "ci_low",
    "ci_high",
    "unit",
    "threshold",
    "direction",
    "n",
    "clusters",
    "seed",
    "published",
    "baseline",
    "reason",
    "measurement",
    "seconds",
    "p_value",
    "threshold_origin",
    "method",
]
RUN = Run(
    schema=SCHEMA,
    claims_hash="ab",
    harness="0.1.0",
    torch="2.13.0",
    transformers="5.23.0",
    nnsight=None,
    device="cpu",
    dtype="float32",
    attention="eager",
    started="2026-11-21T07:00:00+00:00",
    seed=42,
    trials=64,
    python="3.11.7",
    platform="linux",
)


def order(values=(3, 4, 5, 4, 3, 4, 5, 4), subject="qwen", estimate=None, **changes) -> Record:
    estimate = estimate or mean(values, range(len(values)))
    judgement = changes.pop("judgement", None) or decide(estimate, CLAIM.threshold, subject)
    arguments = {"subject": subject, "family": "qwen2_5_vl", "seed": 42, **changes}
    return Record.of(CLAIM, judgement=judgement, estimate=estimate, **arguments)


FINITE = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(codec="utf-8"))
RECORDS = st.builds(
    Record,
    **dict.fromkeys(
        ["claim", "statement", "source", "subject", "family", "unit", "direction"], WORDS
    ),
    verdict=st.sampled_from(Verdict),
    **dict.fromkeys(
        ["estimate", "ci_low", "ci_high", "published", "seconds", "p_value"], FINITE | st.none()
    ),
    threshold=FINITE,
    **dict.fromkeys(["n", "clusters", "seed"], st.integers(0, 2**40)),
    baseline=st.none() | st.sampled_from([str(v) for v in Verdict]),
    reason=WORDS.map(lambda text: text + "."),
    measurement=WORDS | st.none(),
    **dict.fromkeys(["threshold_origin", "method"], WORDS),
)


def test_the_keys_are_the_contract_in_its_order():
    assert list(order().to_json()) == KEYS
    assert list(order().properties()) == KEYS


def test_a_record_holds_what_was_judged():
    estimate = mean([3, 4, 5, 4, 3, 4, 5, 4], range(8))
    made = order(baseline=Verdict.refuted, measurement="k", seconds=1.5)
    assert made.to_json() == {
        "claim": CLAIM.id,
        "statement": CLAIM.statement,
        "source": CLAIM.source,
        "subject": "qwen",
        "family": "qwen2_5_vl",
        "verdict": "supported",
        "estimate": 4.0,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        "unit": "layers",
        "threshold": 0.0,
        "direction": "above",
        "n": 8,
        "clusters": 8,
        "seed": 42,
        "published": 4.0,
        "baseline": "refuted",
        "reason": "4 [3.37, 4.63] layers is above 0",
        "measurement": "k",
        "seconds": 1.5,
        "p_value": estimate.p_value(0, "above"),
        "threshold_origin": "stated in the paper",
        "method": "t",
    }


def test_the_threshold_and_the_published_value_are_those_of_the_subject():
    other = order(subject="llava")
    assert (other.threshold, other.published) == (2.0, None)
    assert other.p_value == mean([3, 4, 5, 4, 3, 4, 5, 4], range(8)).p_value(2, "above")
    assert order(published=7).published == 7.0


def test_without_a_measurement_numbers_are_null_with_the_reason():
    blocked = Record.of(
        CLAIM,
        subject="qwen",
        family="qwen2_5_vl",
        judgement=Judgement(Verdict.blocked, "accuracy is at chance"),
        estimate=None,
        seed=42,
    )
    assert (blocked.estimate, blocked.ci_low, blocked.ci_high, blocked.p_value) == (None,) * 4
    assert (blocked.n, blocked.clusters, blocked.method) == (0, 0, "")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_not_finite_become_null(bad):
    made = order(estimate=Estimate(bad, lambda level: (bad, bad), 40, 20, "t"), seconds=bad)
    assert made.verdict is Verdict.error
    assert (made.estimate, made.ci_low, made.ci_high, made.p_value) == (None,) * 4
    assert made.seconds is None
    json.dumps(made.to_json(), allow_nan=False)


def test_one_scene_has_an_estimate_without_an_interval():
    made = order(estimate=mean([1, 2], "aa"))
    assert (made.estimate, made.ci_low, made.ci_high) == (1.5, None, None)
    assert "only 1 scene;" in made.reason


def test_an_absent_quantity_counts_in_the_correction():
    absent = order(estimate=Estimate.absent("position is not coded", 40, 20))
    assert (absent.verdict, absent.estimate, absent.p_value) == (Verdict.refuted, None, 1.0)


def test_a_missing_number_without_a_reason_is_refused():
    with pytest.raises(ValueError, match=r"3\.3\.order for qwen: estimate, ci_low, ci_high"):
        order(estimate=Estimate.absent("x"), judgement=Judgement(Verdict.error, " "))
    with pytest.raises(ValueError, match="ci_high"):
        replace(order(), ci_high=None, reason="")


@pytest.mark.parametrize("name", ["estimate", "ci_low", "ci_high", "threshold", "seconds"])
def test_a_record_refuses_nan(name):
    with pytest.raises(ValueError, match=f"{name} is nan"):
        replace(order(), **{name: math.nan})


@given(RECORDS)
def test_a_record_survives_json(one):
    text = json.dumps(one.to_json(), allow_nan=False)
    again = Record.from_json(json.loads(text))
    assert again == one
    assert type(again.verdict) is Verdict


@given(RECORDS)
def test_properties_are_text(one):
    assert all(type(value) is str for value in one.properties().values())


def test_properties_are_short_numbers_and_nothing_for_none():
    made = replace(order(), estimate=1 / 3, seed=123456789, published=None).properties()
    assert (made["estimate"], made["seed"], made["published"]) == ("0.333333", "123456789", "")
    assert made["verdict"] == "supported"


def test_missing_and_unknown_keys_are_named():
    row = order().to_json()
    with pytest.raises(ValueError, match=r"missing keys \[\], unknown keys \['units'\]"):
        Record.from_json({**row, "units": "layers"})
    with pytest.raises(ValueError, match=r"missing keys \['unit'\], unknown keys \['units'\]"):
        Record.from_json({**{k: v for k, v in row.items() if k != "unit"}, "units": "layers"})


def test_a_run_survives_json_in_the_order_of_the_contract():
    partial = replace(RUN, partial=True)
    assert Run.from_json(json.loads(json.dumps(partial.to_json()))) == partial
    assert list(RUN.to_json()) == (
        [
            "schema",
            "claims_hash",
            "harness",
            "torch",
            "transformers",
            "nnsight",
            "device",
            "dtype",
            "attention",
            "started",
            "seed",
            "trials",
            "python",
            "platform",
            "partial",
        ]
    )
    assert RUN.partial is False


def test_a_run_of_another_schema_is_refused():
    with pytest.raises(ValueError, match="schema 2; this version reads schema 1"):
        Run.from_json({"schema": 2, "unheard": "of"})
    with pytest.raises(ValueError, match="schema None"):
        Run.from_json({})
    with pytest.raises(ValueError, match="schema 2"):
        replace(RUN, schema=2)


def test_json_keeps_its_order_and_its_letters(tmp_path):
    path = tmp_path / "new" / "folder" / "a.json"
    write_json(path, {"b": 1, "a": ["é", None, True, 0.1]})
    assert path.read_text("utf-8").startswith('{\n "b": 1,\n "a": [\n  "é",')
    assert read_json(path) == {"b": 1, "a": ["é", None, True, 0.1]}
    assert list(read_json(path)) == ["b", "a"]


def test_nan_is_never_written(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"new": math.nan})
    assert read_json(path) == {"old": 1}
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("step", ["fdopen", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, step, error
):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(module.os, step, fail)
        with pytest.raises(type(error)):
            write_json(path, {"new": 2})
    assert read_json(path) == {"old": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_the_data_is_on_disk_before_the_name_and_the_name_after(tmp_path, monkeypatch):
    steps = []
    fsync, rename = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        folder = os.path.isdir(f"/proc/self/fd/{descriptor}")
        steps.append("folder" if folder else "file")
        fsync(descriptor)

    def note_rename(source: object, target: object) -> None:
        steps.append("rename")
        assert json.loads(source.read_text()) == {"new": 2}
        rename(source, target)

    monkeypatch.setattr(module.os, "fsync", note_sync)
    monkeypatch.setattr(module.os, "replace", note_rename)
    write_json(tmp_path / "a.json", {"new": 2})
    assert len(steps) == 3
    if os.path.isdir("/proc/self/fd"):
        assert steps == ["file", "rename", "folder"]


def test_a_temporary_file_of_another_process_is_not_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(module.secrets, "token_hex", lambda size: "same")
    theirs = tmp_path / ".same.tmp"
    theirs.write_text("theirs")
    with pytest.raises(FileExistsError):
        write_json(tmp_path / "a.json", {"new": 2})
    assert theirs.read_text() == "theirs"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path):
    old = save_record(tmp_path, order())
    before = old.read_bytes()
    script = f"""
import os, signal
from harness.judging.record import write_json
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
write_json({str(old)!r}, {{"new": "x" * 100000}})
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    assert old.read_bytes() == before
    # The half-written temporary file stays, which must not disturb the reader.
    assert len(os.listdir(tmp_path)) == 2
    assert load_records(tmp_path) == [order()]


@pytest.mark.parametrize("cut", [0, 1, 40, -2])
def test_a_truncated_file_is_named_with_what_to_do(tmp_path, cut):
    path = save_record(tmp_path, order())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"order\.json is not a whole JSON file.*delete it"):
        read_json(path)
    with pytest.raises(ValueError, match=r"order\.json"):
        load_records(tmp_path)


@pytest.mark.parametrize("content", [b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": "\xff"}'])
def test_a_file_that_is_not_strict_json_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json is not a whole JSON file"):
        read_json(tmp_path / "a.json")


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "a.json")


def test_records_are_kept_one_a_file_and_read_in_order(tmp_path):
    other = replace(order(), claim="a.b.c")
    made = [order(subject="0"), replace(other, subject="b"), replace(other, subject="a")]
    for one in made:
        save_record(tmp_path, one)
    assert (tmp_path / "0--visual_symbols.3.3.order.json").is_file()
    assert load_records(tmp_path) == [made[2], made[1], made[0]]


def test_saving_again_replaces(tmp_path):
    save_record(tmp_path, order())
    save_record(tmp_path, replace(order(), seed=7))
    assert [one.seed for one in load_records(tmp_path)] == [7]


def test_no_folder_means_no_records(tmp_path):
    assert load_records(tmp_path / "none") == []


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_no_name_of_a_subject_leaves_the_folder_or_meets_another(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("records")
    paths = {save_record(folder, replace(order(), subject=s)) for s in (name, f"../{name}")}
    assert len(paths) == 2
    assert {path.parent for path in paths} == {folder}
    assert {one.subject for one in load_records(folder)} == {name, f"../{name}"}


@pytest.mark.parametrize(
    "content",
    [
        {"schema": 2, "record": order().to_json()},
        {"record": {}},
        {"schema": 1},
        {"schema": 1, "record": {"claim": "a.b.c"}},
        [],
    ],
)
def test_a_file_that_is_no_record_of_this_schema_is_named(tmp_path, content):
    write_json(tmp_path / "a.json", content)
    with pytest.raises(ValueError, match=r"a\.json is not a record of schema 1"):
        load_records(tmp_path)

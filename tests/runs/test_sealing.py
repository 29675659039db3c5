"""What a seal is gathered from: claims and the catalogue, wherever and in whatever order they stand."""

from __future__ import annotations

import importlib.util

import pytest

from harness.experiments.catalogue import EXPERIMENTS, find_experiment
from harness.judging.controls import read_expected
from harness.measuring.code import hash_stimuli
from harness.runs.sealing import StatedTest, describe_seal, gather_seal, hash_body

FILE = '''
"""Two claims."""

from harness.judging.claim import above, claim

LIMIT = above(0.5, unit="r", origin="stated in the paper", exceptions={"llava": 0.4})

@claim(id="made_up.1.keys", statement="This is so.", source="Nobody 2026", threshold=LIMIT)
def test_keys(keys, judge):
    """Words change nothing."""
    judge(keys.swapped())

@claim(id="made_up.1.free", statement="And this.", source="Nobody 2026", threshold=LIMIT, published={"q": 1})
def test_free(judge):
    judge(1)
'''


def load(path, text):
    """The tests of a file of claims, in the order in which they stand there."""
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    functions = [f for name, f in vars(module).items() if name.startswith("test_")]
    return [
        StatedTest(f.claim, f, f.__code__.co_varnames[: f.__code__.co_argcount]) for f in functions
    ]


def gather(tests, **settings):
    return gather_seal(tests, **{"seed": 0, "trials": None, "gate": True, **settings})


def test_a_seal_holds_what_claims_and_catalogue_say(tmp_path):
    seal = gather(load(tmp_path / "a.py", FILE), seed=3, trials="auto", gate=False)
    assert seal.settings == {"seed": 3, "trials": "auto", "gate": False}
    assert seal.stimuli == hash_stimuli()
    assert list(seal.claims) == ["made_up.1.keys", "made_up.1.free"]
    one, other = seal.claims.values()
    assert (one.threshold, one.direction, one.unit) == (0.5, "above", "r")
    assert (one.exceptions, other.published) == ({"llava": 0.4}, {"q": 1.0})
    assert (one.experiments, other.experiments) == (("keys",), ())
    assert set(seal.experiments) == {e.name for e in EXPERIMENTS}
    keys, declared = seal.experiments["keys"], find_experiment("keys")
    assert keys.trials == {"embedded": declared.trials, "paper": declared.paper_trials}
    assert (keys.requires, keys.least) == (declared.requires, declared.least)
    # Its own task's gate and the heads that it edits count as well.
    assert {"keys", "mediation", "readiness", "spelling"} == set(keys.measures)
    assert seal.experiments["counting"].own_task
    assert not keys.own_task
    assert set(seal.controls) == set(read_expected())


def test_another_file_name_and_another_order_change_nothing(tmp_path):
    seal = gather(load(tmp_path / "a.py", FILE))
    head, first, second = FILE.partition("@claim")[0], *FILE.split("@claim")[1:]
    turned = gather(load(tmp_path / "b.py", f"{head}@claim{second}\n\n@claim{first}"))
    assert turned == seal
    assert turned.digest == seal.digest
    words = FILE.replace("Words change nothing.", "Other words.").replace(
        "def test_keys", "def test_k"
    )
    words = words.replace("    judge(keys", "    # A comment.\n    judge(keys")
    assert gather(load(tmp_path / "c.py", words)).digest == seal.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("above(0.5", "above(0.4"),
        ('"llava": 0.4', '"llava": 0.3'),
        ("This is so.", "This may be so."),
        ("keys.swapped()", "keys.swapped() or 1"),
        ("test_keys(keys, judge)", "test_keys(keys, entropy, judge)"),
        ('published={"q": 1}', 'published={"q": 2}'),
    ],
)
def test_what_a_claim_asks_changes_its_digest(tmp_path, old, new):
    assert FILE.count(old) == 1
    seal = gather(load(tmp_path / "a.py", FILE))
    assert gather(load(tmp_path / "b.py", FILE.replace(old, new))).digest != seal.digest


def test_two_subjects_share_a_test_and_two_claims_share_no_id(tmp_path):
    tests = load(tmp_path / "a.py", FILE)
    assert gather(tests * 2) == gather(tests)
    other = load(tmp_path / "b.py", FILE.replace("above(0.5", "above(0.1"))
    with pytest.raises(ValueError, match=r"claim made_up\.1\.keys is declared twice"):
        gather(tests + other)


HELPED = """
def lowest(reading):
    return limit(reading)

def limit(reading):
    return 0.5

def other():
    return 1

def test_it(reading, judge):
    judge(lowest(reading))
"""


def test_a_function_that_a_test_calls_belongs_to_it_and_its_neighbours_do_not(tmp_path):
    def find_hash(name, text):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return hash_body(module.test_it)

    before = find_hash("before", HELPED)
    assert find_hash("neighbour", HELPED.replace("return 1", "return 2")) == before
    assert find_hash("helper", HELPED.replace("return 0.5", "return 0.1")) != before


def test_a_test_without_a_docstring_has_a_body_of_its_own(tmp_path):
    bodies = [hash_body(test.function) for test in load(tmp_path / "a.py", FILE)]
    assert len(set(bodies)) == 2
    assert all(len(body) == 16 for body in bodies)


def test_the_scorecard_is_told_which_code_is_another_one(tmp_path):
    from dataclasses import replace

    seal = gather(load(tmp_path / "a.py", FILE))
    assert describe_seal(seal) == {"digest": seal.digest, "written": seal.written}
    other = replace(seal, code={**seal.code, "judging": "0" * 64})
    assert describe_seal(other)["changed"] == "the code that reads and judges"
    other = replace(seal, code={})
    assert describe_seal(other)["changed"] == (
        "the code that measures and the code that reads and judges and the published figures"
    )

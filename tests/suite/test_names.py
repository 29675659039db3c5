"""The name of a subject's folder may be long or in any script."""

from __future__ import annotations

import json
import shutil

import pytest

from harness.machine.files import FIXTURES

NAMES = {
    "Chinese": "视觉语言模型检查点一二三四五六七八九十甲乙丙丁戊己庚辛壬癸",
    "long": "a" * 200,
    "odd": "my model (v2) 100% #1?",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_subject_is_judged_whatever_its_folder_is_called(run, pytester, name):
    shutil.copytree(FIXTURES / "tiny-llava", pytester.path / name)
    ended = run("--scorecard", "out", "-k", "holds", subject=name)
    assert ended.ret == 0
    content = json.loads((pytester.path / "out" / "scorecard.json").read_text())
    assert {(r["subject"], r["verdict"]) for r in content["records"]} == {(name, "supported")}

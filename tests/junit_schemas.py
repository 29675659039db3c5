"""What two published schemas ask of a JUnit file, written down again as rules.

jenkins: junit-10.xsd of jenkinsci/xunit-plugin, which pytest's own `xunit2` follows, too.
ant: JUnit.xsd of windyroad/JUnit-Schema, the schema that is found under this name in most places.
"""

from __future__ import annotations

import re

NUMBER, WHOLE, ANY, SOME = r"-?\d+(\.\d+)?", r"\d+", r"(?s).*", r"(?s).*\S.*"
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
RESULTS = ("skipped", "error", "failure")
OUTPUT = ("system-out", "system-err")

JENKINS = {
    # By element: the attributes that it must have, those that it may have, and the elements that it may hold.
    "testsuites": ({}, {"name": ANY, "time": NUMBER, **dict.fromkeys(("tests", "failures", "errors"), ANY)},
                   {"testsuite"}),
    "testsuite": (
        dict.fromkeys(("name", "tests", "failures", "errors"), ANY),
        {"time": NUMBER, **dict.fromkeys(
            ("group", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"), ANY)},
        {"testsuite", "properties", "testcase", *OUTPUT},
    ),
    "properties": ({}, {}, {"property"}),
    "property": ({"name": ANY, "value": ANY}, {}, set()),
    "testcase": (
        {"name": ANY}, dict.fromkeys(("time", "classname", "group"), ANY), {*RESULTS, *OUTPUT},
    ),
    **dict.fromkeys(RESULTS, ({}, {"type": ANY, "message": ANY}, set())),
    **dict.fromkeys(OUTPUT, ({}, {}, set())),
}  # fmt: skip

ANT = {
    "testsuites": ({}, {}, {"testsuite"}),
    "testsuite": (
        {
            "name": SOME, "timestamp": MOMENT, "hostname": SOME, "package": ANY, "id": WHOLE, "time": NUMBER,
            **dict.fromkeys(("tests", "failures", "errors"), WHOLE),
        },
        {"skipped": WHOLE},
        {"properties", "testcase", *OUTPUT},
    ),
    "properties": ({}, {}, {"property"}),
    "property": ({"name": SOME, "value": ANY}, {}, set()),
    "testcase": ({"name": ANY, "classname": ANY, "time": NUMBER}, {}, set(RESULTS)),
    # Anything may stand in a skipped one.
    "skipped": ({}, {"type": ANY, "message": ANY}, set()),
    **dict.fromkeys(("error", "failure"), ({"type": ANY}, {"message": ANY}, set())),
    **dict.fromkeys(OUTPUT, ({}, {}, set())),
}  # fmt: skip


def find_faults_for_jenkins(root):
    """What in a file is not valid by the schema of Jenkins' xunit plugin, a line each."""
    return _find_faults(root, JENKINS)


def find_faults_for_ant(root):
    """What in a file is not valid by the schema for Ant, a line each; that one also fixes an order."""
    faults = _find_faults(root, ANT)
    for suite in root.iter("testsuite"):
        order = [child.tag for child in suite]
        if order != ["properties", *["testcase"] * order.count("testcase"), *OUTPUT]:
            faults.append(f"{', '.join(dict.fromkeys(order))} in testsuite, in this order")
    for case in root.iter("testcase"):
        if len(case) > 1:
            faults.append("more than one result in testcase")
    return faults


def _find_faults(root, schema):
    faults = [] if root.tag == "testsuites" else [f"{root.tag} as the root"]
    for element in root.iter():
        required, optional, held = schema.get(element.tag, ({}, {}, set()))
        faults += [f"{child.tag} in {element.tag}" for child in element if child.tag not in held]
        faults += [f"no {name} of {element.tag}" for name in required if name not in element.attrib]
        for name, value in element.attrib.items():
            pattern = {**required, **optional}.get(name)
            if pattern is None or not re.fullmatch(pattern, value):
                faults.append(f"{name}={value!r} of {element.tag}")
    # What stands in an element that is not allowed is one fault, not several.
    return [f for f in faults if schema is not JENKINS or "property" not in f.split(" in ")[-1]]

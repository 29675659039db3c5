"""What version 0.3.0 of Every Eval Ever asks of the fields that we write, written down again as JSON schemas.

Source: every_eval_ever/schemas/eval.schema.json and instance_level_eval.schema.json of the repository
evaleval/every_eval_ever, read at commit 9bce413 (2026-08-13); and what its validator asks besides (one UUID of
version 4 for both files; ids, number of rows and checksum that agree), which `find_faults` checks. Fields that
we do not write are left out, so what is unknown here is a fault even where the schema would take it.
"""

from __future__ import annotations

import hashlib
import json
import re

import jsonschema

TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}
DETAILS = {"type": "object", "additionalProperties": TEXT}
BOUND = {"oneOf": [NUMBER, {"enum": ["Infinity", "-Infinity"]}]}
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
PATH = rf"^data/[^/]+/[^/]+/[^/]+/{UUID}"


def shape(required, optional=None):
    """An object with these fields and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    }


RESULT = shape(
    {
        "evaluation_name": TEXT,
        "source_data": shape(
            {"dataset_name": TEXT, "source_type": {"const": "other"}}, {"additional_details": DETAILS}
        ),
        "metric_config": shape(
            # Bounds are required of a continuous score.
            {"lower_is_better": {"type": "boolean"}, "score_type": {"const": "continuous"},
             "min_score": BOUND, "max_score": BOUND},
            {"evaluation_description": TEXT, "metric_id": TEXT, "metric_name": TEXT, "metric_unit": TEXT},
        ),
        "score_details": shape(
            {"score": NUMBER},
            {
                "details": DETAILS,
                "uncertainty": shape(
                    {},
                    {
                        "num_samples": WHOLE,
                        "confidence_interval": shape(
                            {"lower": NUMBER, "upper": NUMBER},
                            {"confidence_level": {**NUMBER, "minimum": 0, "maximum": 1}, "method": TEXT},
                        ),
                    },
                ),
            },
        ),
    },
    {"evaluation_result_id": TEXT},
)  # fmt: skip

AGGREGATE = shape(
    {
        "schema_version": {"const": "0.3.0"},
        "evaluation_id": TEXT,
        "retrieved_timestamp": {"type": "string", "pattern": r"^\d+$"},
        "source_metadata": shape(
            {
                "source_type": {"enum": ["documentation", "evaluation_run"]},
                "source_organization_name": TEXT,
                "evaluator_relationship": {"enum": ["first_party", "third_party", "collaborative", "other"]},
            },
            {"source_name": TEXT, "additional_details": DETAILS},
        ),
        "model_info": shape(
            {
                "name": TEXT,
                "id": TEXT,
                "additional_details": {
                    **DETAILS,
                    "required": ["deployment_type", "model_availability"],
                    "properties": {
                        "deployment_type": {"enum": ["self_deployed", "externally_managed", "unknown"]},
                        "model_availability": {"enum": ["open_weights", "closed_weights", "unknown"]},
                    },
                },
            },
            {"developer": TEXT, "inference_engine": shape({"name": TEXT, "version": TEXT})},
        ),
        "eval_library": shape({"name": TEXT, "version": TEXT}, {"additional_details": DETAILS}),
        "evaluation_results": {"type": "array", "items": RESULT},
    },
    {
        "evaluation_timestamp": TEXT,
        "detailed_evaluation_results": shape(
            {"format": {"const": "jsonl"}, "file_path": {**TEXT, "pattern": rf"{PATH}_samples\.jsonl$"}},
            {"hash_algorithm": {"const": "sha256"}, "checksum": TEXT, "total_rows": WHOLE},
        ),
    },
)  # fmt: skip

INSTANCE = shape(
    {
        "schema_version": {"const": "0.3.0"},
        "evaluation_id": TEXT,
        "model_id": TEXT,
        "evaluation_name": TEXT,
        "sample_id": TEXT,
        # What is asked of the other two types of interaction is left out.
        "interaction_type": {"const": "single_turn"},
        "input": shape({"raw": TEXT, "reference": {"type": "array", "items": TEXT}}),
        "output": shape({"raw": {"type": "array", "items": TEXT}}),
        "answer_attribution": {"type": "array", "maxItems": 0},
        "evaluation": shape({"score": NUMBER, "is_correct": {"type": "boolean"}}),
    },
    {"evaluation_result_id": TEXT, "metadata": DETAILS},
)


def find_faults(files):
    """What in the files of an export is not valid, a line each.

    Args:
        files: The text of each file by its path.
    """
    faults = []
    for path, text in files.items():
        if not re.fullmatch(rf"{PATH[1:]}(\.json|_samples\.jsonl)", path):
            faults.append(f"{path}: not where the schema wants it")
        if path.endswith("_samples.jsonl"):
            if path.replace("_samples.jsonl", ".json") not in files:
                faults.append(f"{path}: without the results of its trials")
            continue
        content = json.loads(text)
        faults += _check(path, content, AGGREGATE)
        results = {r["evaluation_result_id"] for r in content["evaluation_results"]}
        told = content.get("detailed_evaluation_results")
        samples = files.get(told["file_path"]) if told else None
        if (told is None) != (path.replace(".json", "_samples.jsonl") not in files):
            faults.append(f"{path}: its trials are not named")
        if samples is None:
            continue
        lines = samples.splitlines()
        if told["total_rows"] != len(lines) or not lines:
            faults.append(f"{path}: {told['total_rows']} trials are {len(lines)}")
        if told["checksum"] != hashlib.sha256(samples.encode()).hexdigest():
            faults.append(f"{path}: another checksum")
        for number, line in enumerate(lines):
            row = json.loads(line)
            faults += _check(f"{told['file_path']}:{number}", row, INSTANCE)
            same = (row["evaluation_id"], row["model_id"]) == (
                content["evaluation_id"],
                content["model_info"]["id"],
            )
            if not same or row["evaluation_result_id"] not in results:
                faults.append(f"{told['file_path']}:{number}: of another result")
    return faults


def _check(where, content, schema):
    found = jsonschema.Draft7Validator(schema).iter_errors(content)
    return [f"{where}: {'.'.join(map(str, e.absolute_path))}: {e.message}" for e in found]

"""Write a scorecard by the schema of Every Eval Ever, so that results of different tools can be compared.

The schema is version 0.3.0 of `eval.schema.json` and `instance_level_eval.schema.json` in the repository
evaleval/every_eval_ever (MIT licence). A file stands for one subject, with a result for every estimate;
beside it lies a file with one line for each trial behind an estimate. Both lie where the schema wants them:
data/<collection>/<developer>/<model>/<uuid>.json.

The schema knows scores, not claims. So the score is the estimate, and statement, verdict and threshold stand
in its details. What has no estimate has no score either: such verdicts are listed in the source's details.
Bounds of scores are infinite, since a record does not say which quantity has some.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from harness.judging.claim import Pair
from harness.judging.record import Record
from harness.machine.files import name_file
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import paper, plain
from harness.statistics.evidence import Evidence
from harness.statistics.looks import AUTO

SCHEMA_VERSION = "0.3.0"

COLLECTION = "binding-claims"

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|data)?", re.IGNORECASE)


def write(
    card: Scorecard, evidence: Mapping[Pair, Evidence], models: Mapping[str, str]
) -> dict[str, str]:
    """The files of a scorecard, one of results for each subject and one of its trials if there are some.

    Args:
        card: The scorecard. A subject without any estimate has no file.
        evidence: What its estimates were made of, by (claim, subject); may be empty.
        models: The id of each subject as the hub spells it, "developer/model"; "local/<subject>" where it is
            not given.

    Returns:
        The text of each file, by its path below a folder. The same scorecard gives the same files.
    """
    files: dict[str, str] = {}
    for subject in card.subjects:
        records = [r for r in card.records if r.subject == subject and r.estimate is not None]
        if not records:
            continue
        model = plain(models.get(subject, f"local/{subject}"))
        about = {"schema_version": SCHEMA_VERSION, "evaluation_id": _name_run(card, subject, model)}
        stem = _choose_path(model, about["evaluation_id"])
        content = {**about, **_describe_run(card, subject, model)}
        content["evaluation_results"] = [_to_result(card, record) for record in records]
        lines = [
            json.dumps({**about, "model_id": model, **row}, ensure_ascii=False, allow_nan=False)
            for record in records
            for row in _list_trials(record, evidence.get((record.claim, subject)))
        ]
        if lines:
            samples = "".join(f"{line}\n" for line in lines)
            files[f"{stem}_samples.jsonl"] = samples
            content["detailed_evaluation_results"] = {
                "format": "jsonl",
                "file_path": f"{stem}_samples.jsonl",
                "hash_algorithm": "sha256",
                "checksum": hashlib.sha256(samples.encode()).hexdigest(),
                "total_rows": len(lines),
            }
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        files[f"{stem}.json"] = f"{text}\n"
    return files


def _name_run(card: Scorecard, subject: str, model: str) -> str:
    # A baseline does not say when its run began; what was asked and what came of it tells it from others.
    content = json.dumps([r.to_json() for r in card.records if r.subject == subject])
    told = card.run.started or hashlib.sha256(content.encode()).hexdigest()[:16]
    return plain(f"{COLLECTION}/{model}/{told}/{subject}")


def _choose_path(model: str, name: str) -> str:
    """The path of a subject's files without their ending; the same name gives the same path."""
    developer, _, rest = model.rpartition("/")
    folder = "/".join((COLLECTION, _name_part(developer or "local"), _name_part(rest)))
    digest = hashlib.sha256(name.encode()).digest()
    return f"data/{folder}/{uuid.UUID(bytes=digest[:16], version=4)}"


def _name_part(text: str) -> str:
    """A part of a path that every file system takes, and that leads nowhere else."""
    name = name_file(text).rstrip(".")
    return f"{name}_" if _RESERVED.fullmatch(name.partition(".")[0]) else name


def _describe_run(card: Scorecard, subject: str, model: str) -> dict[str, Any]:
    run = card.run
    asked = {f"asked_{name}": value for name, value in run.subjects.get(subject, {}).items()}
    without = {
        r.claim: f"{r.verdict}: {plain(r.reason)}"
        for r in card.records
        if r.subject == subject and r.estimate is None
    }
    without |= {claim: "no verdict came back" for claim, name in card.missing if name == subject}
    versions = {"torch": run.torch, "transformers": run.transformers, "nnsight": run.nnsight}
    content = {
        # The record is of the run, and is the same whenever it is exported.
        "retrieved_timestamp": str(_find_epoch(run.started)),
        "source_metadata": {
            "source_name": "binding-claims",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
            "additional_details": _spell(
                claims_hash=run.claims_hash, stimuli=run.stimuli, code=run.code, seed=run.seed,
                partial=run.partial_because or run.partial, correction=card.correction,
                command=run.command, without_score=json.dumps(without, ensure_ascii=False),
            ),
        },
        "model_info": {
            "name": plain(subject),
            "id": model,
            "developer": model.rpartition("/")[0] or "local",
            "inference_engine": {"name": "transformers", "version": run.transformers or "unknown"},
            "additional_details": {
                "deployment_type": "unknown" if " + " in (run.device or "") else "self_deployed",
                "model_availability": "unknown" if model.startswith("local/") else "open_weights",
                **_spell(device=run.device, attention=run.attention, **asked),
            },
        },
        "eval_library": {
            "name": "binding-claims",
            "version": run.harness,
            "additional_details": _spell(**versions, python=run.python),
        },
    }  # fmt: skip
    return {**({"evaluation_timestamp": run.started} if run.started else {}), **content}


def _to_result(card: Scorecard, record: Record) -> dict[str, Any]:
    """One estimate as a result of the schema, with the verdict that it led to."""
    score: dict[str, Any] = {"score": record.estimate}
    spread: dict[str, Any] = {"num_samples": record.n}
    if record.ci_low is not None and record.ci_high is not None:
        interval = {"lower": record.ci_low, "upper": record.ci_high, "method": plain(record.method)}
        # Early looks are judged by wider intervals, and a record does not say at which look it was.
        sure = {} if card.run.trials == AUTO else {"confidence_level": 0.95}
        spread["confidence_interval"] = {**interval, **sure}
    score["uncertainty"] = spread
    score["details"] = _spell(
        verdict=record.verdict, reason=record.reason, threshold=record.threshold,
        direction=record.direction, threshold_origin=record.threshold_origin,
        scenes=record.clusters, published=record.published, baseline=record.baseline,
        p_value=record.p_value, p_adjusted=card.p_adjusted.get((record.claim, record.subject)),
        measurement=record.measurement, source=record.source,
    )  # fmt: skip
    return {
        "evaluation_result_id": plain(record.claim),
        "evaluation_name": plain(record.claim),
        "source_data": {
            "dataset_name": f"{COLLECTION}/{plain(paper(record.claim))}",
            "source_type": "other",
            "additional_details": _spell(
                drawn="scenes and prompts are drawn by the suite from the seed",
                seed=record.seed, stimuli=card.run.stimuli,
            ),
        },
        "metric_config": {
            "evaluation_description": plain(record.statement),
            "metric_id": f"binding_claims.{plain(record.claim)}",
            "metric_name": plain(record.unit),
            "metric_unit": plain(record.unit),
            "lower_is_better": record.direction == "below",
            "score_type": "continuous",
            "min_score": "-Infinity",
            "max_score": "Infinity",
        },
        "score_details": score,
    }  # fmt: skip


def _list_trials(record: Record, found: Evidence | None) -> Iterator[dict[str, Any]]:
    """The trials behind an estimate, as instances of the schema; bootstrap draws are none.

    Evidence keeps what a trial gave, not its words: the input names the scene, which the seed draws again.
    An instance counts as "correct" if what the claim counts came about in it (an answer was right, or moved),
    or, where a number was measured, if that is on the claimed side of the threshold.
    """
    if found is None or found.scenes is None:
        return
    scenes = map(plain, found.scenes)
    for number, (value, scene) in enumerate(zip(found.values, scenes, strict=True)):
        score, above = float(value), record.direction == "above"
        claimed = score > record.threshold if above else score < record.threshold
        yield {
            "evaluation_name": plain(record.claim),
            "evaluation_result_id": plain(record.claim),
            "sample_id": f"{scene}#{number}",
            "interaction_type": "single_turn",
            "input": {"raw": f"scene {scene}, drawn from seed {record.seed}", "reference": []},
            "output": {"raw": []},
            "answer_attribution": [],
            "evaluation": {
                "score": score,
                "is_correct": bool(score == 1.0) if found.binary else bool(claimed),
            },
            "metadata": _spell(scene=scene, trial=number, unit=record.unit),
        }


def _spell(**facts: object) -> dict[str, str]:
    """Facts as the schema wants further details: texts by name, without those that are not known."""
    return {
        name: plain(str(value))
        for name, value in facts.items()
        if value is not None and value != ""
    }


def _find_epoch(started: str) -> int:
    """Seconds since 1970 of a moment as ISO 8601 spells it; 0 if it is not known."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return 0
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())

"""Write what a model's repository on the Hugging Face Hub can show of a scorecard.

There are two places, and `huggingface_hub` writes both formats. The metadata of the model card
(`model-index`) takes any metric: each claim is one, with its estimate. The folder `.eval_results` feeds the
leaderboard of a benchmark dataset that the Hub knows by its `eval.yaml`
(https://huggingface.co/docs/hub/eval-results, marked there as work in progress): one value for each paper, the
share of its claims that are supported of those that were asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.judging.record import Record
from harness.machine.files import name_file
from harness.reporting import badge
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import WORDS, measured, one_line, paper, plain

TASK = "image-text-to-text"
"""The Hub's name of what the subjects do."""


def write(
    card: Scorecard, models: Mapping[str, str], benchmark: str = "", source: str = ""
) -> dict[str, str]:
    """The files for the repository of each subject, below a folder of the subject's name.

    Args:
        card: The scorecard.
        models: The id of each subject as the Hub spells it; the subject's name where it is not given.
        benchmark: Id of the benchmark dataset on the Hub, whose tasks are named after papers; "" leaves
            `.eval_results` out, since the Hub refuses results of a benchmark that it does not know.
        source: Address of the whole scorecard, to which results lead; "" for none.

    Returns:
        The text of each file, by its path: `SUBJECT/model-index.yaml`, to be put into the metadata of the
        repository's README.md, and `SUBJECT/.eval_results/binding-claims.yaml`, to be put there as it is.
    """
    import yaml

    files: dict[str, str] = {}
    layout: dict[str, Any] = {"allow_unicode": True, "sort_keys": False, "width": 120}
    for subject in card.subjects:
        folder = name_file(plain(subject)).replace("..", "%2E%2E")
        records = [r for r in card.records if r.subject == subject and r.estimate is not None]
        if records:
            index = _list_metrics(card, records, one_line(models.get(subject, subject)), source)
            files[f"{folder}/model-index.yaml"] = yaml.safe_dump({"model-index": index}, **layout)
        results = _list_results(card, subject, benchmark, source) if benchmark else []
        if results:
            files[f"{folder}/.eval_results/binding-claims.yaml"] = yaml.safe_dump(results, **layout)
    return files


def _list_results(
    card: Scorecard, subject: str, benchmark: str, source: str
) -> list[dict[str, Any]]:
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    run = card.run
    partial = "; partial run" if run.partial else ""
    return eval_result_entries_to_yaml(
        [
            EvalResultEntry(
                dataset_id=benchmark,
                task_id=one_line(name),
                value=counted.supported / counted.asked,
                date=run.started or None,
                source_url=source or None,
                source_name="binding-claims scorecard" if source else None,
                notes=f"{counted.supported} of {counted.asked} claims supported, seed {run.seed}, "
                f"binding-claims {run.harness}, claims {run.claims_hash[:8]}{partial}",
            )
            for name, counted in badge.tally(card, subject).items()
            if counted.asked
        ]
    )


def _list_metrics(
    card: Scorecard, records: list[Record], model: str, source: str
) -> list[dict[str, Any]]:
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    return eval_results_to_model_index(
        model,
        [
            EvalResult(
                task_type=TASK,
                task_name="Visual binding",
                dataset_type=f"binding-claims/{one_line(paper(record.claim))}",
                dataset_name=f"binding-claims, {one_line(paper(record.claim))}",
                dataset_args={"seed": record.seed, "claims": card.run.claims_hash},
                metric_type=one_line(record.claim),
                metric_value=record.estimate,
                metric_name=one_line(
                    f"{record.statement} {WORDS[record.verdict]}: {measured(record)} {record.unit}"
                ),
                metric_args={
                    "verdict": str(record.verdict),
                    "direction": record.direction,
                    "threshold": record.threshold,
                    "trials": record.n,
                    "scenes": record.clusters,
                },
                source_url=source or None,
                source_name="binding-claims scorecard" if source else None,
            )
            for record in records
        ],
    )

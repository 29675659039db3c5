"""Write the table of a scorecard, or of its evidence, in formats that other tools read back with their types.

Texts come from models, from exceptions and from whoever names a checkpoint. In every format they are `plain`:
no character drives a terminal or damages a file. CSV alone has no types, so that a spreadsheet computes a
cell that begins like a formula; there such a text stands behind an apostrophe, as OWASP's page on CSV
injection advises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from harness.judging.claim import Pair
from harness.reporting.scorecard import Scorecard
from harness.reporting.wording import plain
from harness.statistics.evidence import Evidence

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "claim": "id of the claim: paper, section and name, joined by dots",
        "statement": "what is claimed, in one sentence",
        "source": "paper, section and figure",
        "subject": "the model that was asked",
        "family": "its architecture",
        "verdict": "supported, refuted, inconclusive, not_applicable, blocked, not_run or error",
        "estimate": "what was measured, in `unit`; missing where there is none, and `reason` says why",
        "ci_low": "lower end of the interval that decides (95% if not asked in looks), in `unit`",
        "ci_high": "its upper end, in `unit`",
        "unit": "what is counted, such as \"share of answers\", \"r\", \"logits\" or \"layers\"",
        "threshold": "what the estimate is judged against, for this subject, in `unit`",
        "direction": "the side of the threshold that is claimed: above or below",
        "n": "trials behind the estimate",
        "clusters": "different scenes among them, by which intervals are clustered",
        "seed": "of all stimuli and draws",
        "published": "the paper's own number for this subject, in `unit`; missing where it has none",
        "baseline": "the verdict of the baseline; of a control, the one that must come out",
        "reason": "the verdict in words",
        "measurement": "name of the measurement in the store",
        "seconds": "taken to measure and judge",
        "p_value": "one-sided, before correction over the claims of a paper",
        "threshold_origin": "stated in the paper, read off a figure, or chosen by us, and why",
        "method": "how the interval was made",
        "control": "whether the subject's mechanism is known",
    }
)  # fmt: skip
"""The columns of `Scorecard.frame`, with what stands in each."""

EVIDENCE_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "claim": "id of the claim",
        "subject": "the model that was asked",
        "item": "number of the trial, or of the bootstrap draw, within the claim and subject; from 0",
        "kind": "trial, where the estimate was made of trials; draw, where it was made of bootstrap draws",
        "scene": "name of the trial's scene; trials of one scene are not independent. Missing for draws",
        "value": "what the trial or draw gave, in the claim's unit, to six digits; 1 or 0 for right or wrong",
    }
)
"""The columns of `frame_evidence`, with what stands in each."""

FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""A spreadsheet takes a cell for a formula, and computes it, if it begins with one of these characters."""


def frame_evidence(evidence: Mapping[Pair, Evidence]) -> pd.DataFrame:
    """What estimates were made of, as a table: one row a trial with its scene, or one row a bootstrap draw.

    Args:
        evidence: By (claim, subject), such as `harness.judging.evidence.load_evidence` gives it.

    Returns:
        The columns of `EVIDENCE_COLUMNS`, sorted by claim and subject; also without rows. `item` is int64,
        `value` float64, `kind` categorical, all others texts.
    """
    import pandas as pd

    parts = [
        pd.DataFrame(
            {
                "claim": plain(claim),
                "subject": plain(subject),
                "item": range(len(found.values)),
                "kind": "draw" if found.scenes is None else "trial",
                "scene": None if found.scenes is None else list(map(plain, found.scenes)),
                "value": found.values,
            }
        )
        for (claim, subject), found in sorted(evidence.items())
    ]
    types = {"claim": "str", "subject": "str", "item": "int64", "scene": "str", "value": "float64"}
    empty = pd.DataFrame(columns=list(EVIDENCE_COLUMNS)).astype(types)
    table = pd.concat([empty, *[p.astype(types) for p in parts]], ignore_index=True)
    kinds = pd.CategoricalDtype(["trial", "draw"])
    return table.astype({**types, "kind": kinds})[list(EVIDENCE_COLUMNS)]


def to_csv(table: pd.DataFrame) -> str:
    """The table as CSV: a line of names, then one a row; empty where a value is missing; lines end with a feed.

    Numbers have all digits that they need to be read back as they were. A text that a spreadsheet would compute
    stands behind an apostrophe.
    """
    texts = table.select_dtypes("str").columns
    safe = {str(name): table[name].map(defuse, na_action="ignore") for name in texts}
    return table.assign(**safe).to_csv(index=False, lineterminator="\n")


def defuse(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would take for a formula."""
    # Some readers take spaces off.
    begins = text.startswith(FORMULA) or text.lstrip().startswith(FORMULA)
    return f"'{text}" if begins else text


def to_json(table: pd.DataFrame) -> str:
    """The table as JSON with its types, as pandas reads it with `orient="table"` (Frictionless Table Schema).

    `schema` names the columns and their types, `data` has an object for each row, null where a value is
    missing. pandas' own writer would round numbers to 15 digits and very small ones to zero.
    """
    import pandas as pd
    from pandas.io.json import build_table_schema

    rows = [
        {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in table.astype(object).to_dict("records")
    ]
    content = {"schema": build_table_schema(table, index=False), "data": rows}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_parquet(table: pd.DataFrame, about: Mapping[str, Any] | None = None) -> bytes:
    """The table as a parquet file; what it is about stands in the file's metadata and in pandas' `attrs`.

    Args:
        table: What to write.
        about: Facts on the whole table, as plain values.

    Raises:
        RuntimeError: pyarrow is not installed; the message says how to get it.
    """
    table = table.copy(deep=False)
    table.attrs = dict(about or {})
    buffer = BytesIO()
    try:
        table.to_parquet(buffer, engine="pyarrow", index=False)
    except ImportError as error:
        raise RuntimeError(
            "parquet needs pyarrow: pip install -e '.[parquet]' -c constraints.txt"
        ) from error
    return buffer.getvalue()


def describe_card(card: Scorecard) -> dict[str, Any]:
    """The facts of a scorecard that stand in no row: those of the run, what is missing, the correction."""
    content = card.to_json()
    return {name: content[name] for name in ("run", "missing", "correction")}

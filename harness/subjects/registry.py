"""fixtures/subjects.toml: which subjects there are and how each is loaded."""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from harness.machine.files import FIXTURES, check_checkout
from harness.subjects.anatomy import ANATOMIES, MARKERS, NoAnatomy
from harness.subjects.configuration import find_family, find_scale
from harness.subjects.folder import find_dtype, find_template_in
from harness.subjects.own_stimuli import USUAL, OwnStimuli, read_own_stimuli
from harness.subjects.truth import STAGES, TRUTH, WEAKENED, find_heads, read_known_heads
from harness.subjects.wording import WORDINGS

ARRANGEMENTS = ("plain", "chat", "prefilled", "auto")
MISLED: tuple[Literal["wrong-image", "shuffled"], ...] = ("wrong-image", "shuffled")
Speaking = Literal["capital", "grey", "digits", "chat", "pieces"]
Twin = Literal[
    "heads", "neurons", "scales", "vocabulary", "basis", "twin", "colors", "renamed", "mirrored"
]
Quantised = Literal["bfloat16", "int8", "nf4"]

PARTS = {"exact": 3, "nearly-exact": 2}
"""Dtypes in which weights stay in half precision and all is computed in float32, with the number of parts into
which inputs are split on a GPU, see `harness.subjects.exact`."""

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2} | dict.fromkeys(PARTS, 2)
"""Bytes of one parameter in each dtype that an entry may name, where it was published in half precision."""

HEADROOM = 0.07
"""Memory needed beside the weights, as a share of them: a clean run's keys and values, and what torch keeps.
Chosen by us; replays use only what is left (harness/tracing/footprint.py)."""


class Refused(Exception):
    """Base of errors for things that cannot be used as they are; the message is shown without a traceback."""


class CannotAsk(Refused, ValueError):
    """A subject cannot be asked, or its answers cannot be told apart: claims on it are blocked."""


class SharedFirstPiece(CannotAsk):
    """Answers start with the same token, so that the first token cannot tell them apart."""


class EndsTexts(CannotAsk):
    """The tokenizer ends every text, so that a subject is never asked to go on with it."""


class OnlyHere(Refused, NotImplementedError):
    """A measurement needs the decoder layers in this process, and the subject has them elsewhere."""


class UnknownSubject(Refused, ValueError):
    """Raised for a name that is neither in the registry nor a folder, or whose entry cannot be used."""


@dataclass(frozen=True)
class Entry:
    """One subject as the registry describes it.

    Attributes:
        name: What people type after --subject.
        family: The architecture, a row of the anatomy table.
        source: A folder (embedded or the user's own) or a repository on the hub.
        kind: "embedded" (ships with the project), "control" (ships too, its mechanism is known), "hub" or
            "local".
        revision: Commit of the repository; only for the hub.
        dtype: Name of a torch dtype, or of PARTS.
        arrangement: "plain" (image, then the sentence), "chat" (the family's chat template), "prefilled" (the
            sentence begins the model's turn), or "auto": the better answered of the last two.
        scale: Which grids it is shown: "embedded" (112 px) or "paper" (280 and 392 px).
        parameters: Billions of parameters, to tell the memory needed; 0 where it does not matter.
        licence: Licence of the weights.
        weights: "stored", or "random": the folder's architecture with weights drawn from `seed`.
        seed: Seed of random weights.
        misled: "", or how trials are exchanged before the subject sees them: "wrong-image" (each prompt with
            another image) or "shuffled" (another trial in place of each).
        speaking: "", or how a subject that ships with us is made to answer as others do, see
            `harness.subjects.speaking`.
        twin: "", or how a subject that ships with us is made into another that computes the same or is asked
            the same in other words, see `harness.subjects.twins`.
        weakened: "", or the stage of a control of which a share is left, "selection=0.5", see
            `harness.subjects.weakened`.
        stimuli: What a folder's stimuli.toml says, nothing without one. Its bytes are among those of the files.
        quantised: "", or the precision in which the subject is served: "bfloat16", which is its dtype then, or
            "int8" or "nf4", to which its weights are rounded, see `harness.subjects.quantised`.
    """

    name: str
    family: str
    source: str
    kind: Literal["embedded", "control", "hub", "local"]
    revision: str = ""
    dtype: str = "float32"
    arrangement: Literal["plain", "chat", "prefilled", "auto"] = "plain"
    scale: Literal["embedded", "paper"] = "paper"
    parameters: float = 0.0
    licence: str = ""
    weights: Literal["stored", "random"] = "stored"
    seed: int = 0
    misled: Literal["", "wrong-image", "shuffled"] = ""
    speaking: Literal[""] | Speaking = ""
    twin: Literal[""] | Twin = ""
    weakened: str = ""
    stimuli: OwnStimuli = USUAL
    quantised: Literal[""] | Quantised = ""

    def __post_init__(self) -> None:
        if self.family not in ANATOMIES:
            raise UnknownSubject(
                f"subject {self.name}: unknown family {self.family!r}; known: {', '.join(ANATOMIES)}"
            )
        for what, value, known in (
            ("arrangement", self.arrangement, ARRANGEMENTS),
            ("dtype", self.dtype, BYTES),
        ):
            if value not in known:
                raise UnknownSubject(
                    f"subject {self.name}: unknown {what} {value!r}; known: {', '.join(known)}"
                )

    @property
    def folder(self) -> Path | None:
        """Where the files are; None for a repository on the hub."""
        if self.kind == "hub":
            return None
        folder = Path(self.source)
        return folder if folder.is_absolute() or self.kind == "local" else FIXTURES / folder

    @property
    def memory_gib(self) -> int:
        """GiB of memory that loading and running takes, rounded up; 0 if the entry does not tell."""
        return math.ceil(self.parameters * 1e9 * BYTES[self.dtype] * (1 + HEADROOM) / 2**30)

    def fingerprint(self, held: str) -> str:
        """A hash that tells these weights, asked in this way, from others, 64 hexadecimal digits.

        Args:
            held: What stands for the files, see `harness.subjects.contents.take_fingerprint`.

        The planted truth is none of these files, but says which heads are weakened.
        """
        digest = hashlib.sha256(f"{self.dtype} {self.arrangement} {self.scale}".encode())
        if self.weights == "random":
            digest.update(f"random {self.seed}".encode())
        digest.update(
            f"{self.misled}{self.speaking}{self.twin}{self.weakened}{self.quantised}".encode()
        )
        digest.update(held.encode())
        if self.weakened and self.folder is not None:
            digest.update((self.folder / TRUTH).read_bytes())
        return digest.hexdigest()

    @property
    def markers(self) -> tuple[str, ...]:
        """The pytest markers of this subject: its family's, and its kind's where it ships with us."""
        own = (self.kind,) if self.kind in ("embedded", "control") else ()
        return (MARKERS[self.family], *own)


def read_registry(path: Path | None = None) -> dict[str, Entry]:
    """Read all entries by name, in the file's order.

    Raises:
        ValueError: An entry has an unknown or missing key; the message names it.
        harness.machine.files.NoCheckout: No path is given, and only a wheel is installed.
    """
    if path is None:
        check_checkout("the registry of subjects")
    path = path or FIXTURES / "subjects.toml"
    entries = {}
    for name, fields in tomllib.loads(path.read_text()).items():
        try:
            entry = Entry(name=name, **fields)
        except TypeError as error:
            raise ValueError(f"{path}: subject {name}: {error}") from None
        entries[name] = entry
    return entries


def find(name: str, registry: dict[str, Entry], *, family: str | None = None) -> Entry:
    """Find the entry of a name, or make one for a folder.

    A folder with a chat template has the arrangement of its family (`harness.subjects.wording`), as the hub's
    models of that family have; one without has "plain". It is loaded in the dtype of most of its weights, or in
    float32 if that dtype is not in BYTES.

    Args:
        name: A name from the registry or a path. A name may be followed by a variant: "untrained:17" has
            the weights of seed 17, "tiny-llava:wrong-image" and "tiny-llava:shuffled" are misled,
            "planted:capital" answers in capitals, "planted:heads" has its heads in another order, and in
            "planted:selection=0.5" the heads of one stage give half of what they gave. Any name or path may end
            in the precision in which it is served: "planted:heads:int8", "./checkpoint:nf4".
        registry: From `read_registry`.
        family: Architecture of a folder; needed only where config.json does not say.

    Raises:
        UnknownSubject: The name is neither registered nor a folder (the message lists what there is), a file in
            the folder cannot be read, or a stage is to be weakened whose heads are not known.
    """
    if family is not None and family not in ANATOMIES:
        raise UnknownSubject(f"unknown family {family!r}; known: {', '.join(ANATOMIES)}")
    if name in registry:
        entry = registry[name]
        if family and family != entry.family:
            raise UnknownSubject(f"subject {name} is of family {entry.family}, not {family}")
        return entry
    served, _, how = name.rpartition(":")
    if served and how in get_args(Quantised) and not Path(name).is_dir():
        return serve(find(served, registry, family=family), how)
    base, colon, variant = name.partition(":")
    if colon and base in registry:
        return _find_variant(registry[base], name, variant)
    folder = Path(name)
    if not folder.is_dir():
        raise UnknownSubject(
            f"unknown subject {name!r}: not in fixtures/subjects.toml ({', '.join(registry)}) "
            "and not a folder"
        )
    try:
        return _describe_folder(folder, family, registry)
    except ValueError as error:
        raise UnknownSubject(str(error)) from None


def serve(entry: Entry, how: str) -> Entry:
    """The entry as it is served in another precision.

    Args:
        entry: Of any subject with weights of its own.
        how: A name of `Quantised`.

    Raises:
        UnknownSubject: It is served in another precision already.
    """
    if entry.quantised:
        raise UnknownSubject(
            f"{entry.name} is served in {entry.quantised}, and cannot be in {how}, too"
        )
    [known] = [q for q in get_args(Quantised) if q == how]
    dtype = how if how in BYTES else entry.dtype
    return replace(entry, name=f"{entry.name}:{how}", quantised=known, dtype=dtype)


def _describe_folder(folder: Path, family: str | None, registry: dict[str, Entry]) -> Entry:
    base, dtype = folder.resolve().name, find_dtype(folder)
    try:
        family, scale = family or find_family(folder), find_scale(folder)
    except (FileNotFoundError, NoAnatomy) as error:
        raise UnknownSubject(str(error)) from None
    stimuli = read_own_stimuli(folder)
    usual = WORDINGS[family].arrangement if find_template_in(folder) else "plain"
    return Entry(
        # A folder with the name of a registered subject is not that subject.
        name=f"./{base}" if base in registry else base,
        family=family,
        source=str(folder),
        kind="local",
        dtype=dtype if dtype in BYTES else "float32",
        arrangement=stimuli.arrangement or usual,
        scale=scale,
        stimuli=stimuli,
    )


def _find_variant(entry: Entry, name: str, variant: str) -> Entry:
    # Each seed has one name, and is no larger than torch takes.
    if entry.weights == "random" and re.fullmatch(r"0|[1-9][0-9]{0,17}", variant):
        return replace(entry, name=name, seed=int(variant))
    for misled in MISLED:
        if variant == misled:
            return replace(entry, name=name, misled=misled)
    ships = entry.kind in ("embedded", "control")
    for speaking in get_args(Speaking) if ships else ():
        if variant == speaking:
            chat: dict[str, Any] = {"arrangement": "chat"} if speaking == "chat" else {}
            return replace(entry, name=name, speaking=speaking, **chat)
    for twin in get_args(Twin) if ships else ():
        if variant == twin:
            return replace(entry, name=name, twin=twin)
    if asked := WEAKENED.fullmatch(variant):
        _check_known(entry, asked[1])
        return replace(entry, name=name, weakened=variant)
    shipped = (*get_args(Speaking), *get_args(Twin)) if ships else ()
    known = ", ".join(f"{entry.name}:{v}" for v in (*MISLED, *shipped))
    seeds = f"{entry.name}:SEED or " if entry.weights == "random" else ""
    known += f", {entry.name}:STAGE=SHARE" if read_known_heads(entry.folder) else ""
    known += "".join(f", {entry.name}:{q}" for q in get_args(Quantised))
    raise UnknownSubject(f"unknown variant {variant!r} of {entry.name}; there are: {seeds}{known}")


def _check_known(entry: Entry, stage: str) -> None:
    """Refuse to weaken a stage whose heads nobody knows."""
    if find_heads(entry.folder, stage):
        return
    known = [s for s in STAGES if find_heads(entry.folder, s)]
    why = (
        f"{TRUTH} has no heads of it, only of: {', '.join(known)}"
        if known
        else f"which heads carry a stage is written down ({TRUTH}) of controls that have one"
    )
    raise UnknownSubject(f"{entry.name}: {stage} cannot be weakened: {why}")

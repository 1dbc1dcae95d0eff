"""The business policy against the portal it is about, before anything is loaded.

Policy is seeds in `dbt_project/seeds`: CSV rows that name HubSpot's object types,
pipelines, stages, properties and options. Each row says in `if_missing` what to do
when the portal lacks what it names: `error` stops the run, `ignore` skips the row.
`_seeds.yml` beside them says which columns and words a file may have.
"""

from __future__ import annotations

import csv
import difflib
import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipelines.errors import ConfigurationError
from pipelines.hubspot.definitions import Definitions

SEEDS = Path(__file__).resolve().parents[1] / "dbt_project" / "seeds"

Json = dict[str, Any]


@dataclass(frozen=True)
class Seed:
    """What `_seeds.yml` declares of one file."""

    columns: tuple[str, ...] = ()
    required: frozenset[str] = frozenset()
    words: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One line of a policy file; `line` counts from 1, as editors do."""

    file: str
    line: int
    values: dict[str, str]

    @property
    def seed(self) -> str:
        """The seed's name, as dbt has it."""
        return Path(self.file).stem


def check(definitions: Definitions) -> list[str]:
    """Sentences about `ignore` rows that this portal lacks.

    Raises ConfigurationError listing every `error` row the portal lacks, each with the
    nearest real name, or the first file that cannot be read as policy.
    """
    refused: list[str] = []
    skipped: dict[str, None] = {}  # one sentence for all rows with the same gap
    for row in rows():
        problem = _problem(row.values, definitions)
        if problem and row.values["if_missing"] == "error":
            refused.append(f"{row.file} line {row.line}: {problem}")
        elif problem:
            skipped[f"{row.file}: {problem.partition(';')[0]}"] = None
    if refused:
        raise ConfigurationError(
            "The policy names what this HubSpot portal does not have. Correct the row, "
            "or set its if_missing to ignore. Nothing was loaded or published.\n"
            + "\n".join(f"  {problem}" for problem in refused)
        )
    return list(skipped)


def rows() -> Iterator[Row]:
    """Every policy row about the portal. Raises ConfigurationError for a bad file."""
    declared = _declared()
    for path in sorted(SEEDS.glob("*.csv")):
        seed = declared.get(path.stem, Seed())
        for row in _read(path, f"dbt_project/seeds/{path.name}", seed):
            if "if_missing" in row.values:
                yield row


def read_seed(name: str) -> list[dict[str, str]]:
    """The rows of one file, also of those that are not about the portal.

    Raises ConfigurationError for a bad file.
    """
    seed = _declared().get(name, Seed())
    return [row.values for row in _read(*_path(name), seed)]


def as_line(seed: str, values: dict[str, str], if_missing: str = "error") -> str:
    """A row as the line to append to its file, in the order of the file's columns."""
    path, file = _path(seed)
    columns = _columns(path, file)
    return _csv_line(columns, {"if_missing": if_missing, **values})


@dataclass(frozen=True)
class Change:
    """What an addition makes of a file; `diff` is unified, for people."""

    file: str
    path: Path
    before: bytes
    after: bytes

    @property
    def diff(self) -> str:
        """Added lines with what stands before them."""
        old, new = (
            content.decode("utf-8-sig").splitlines(keepends=False)
            for content in (self.before, self.after)
        )
        return "\n".join(
            difflib.unified_diff(old, new, self.file, self.file, lineterm="", n=1)
        )


def additions(rows: Iterable[tuple[str, dict[str, str]]]) -> list[Change]:
    """The files with `(seed, values)` rows appended; every byte that is there stays.

    Writes nothing. Raises ConfigurationError for a file that cannot be read as policy,
    before or after.
    """
    lines: dict[str, list[dict[str, str]]] = {}
    for seed, values in rows:
        lines.setdefault(seed, []).append(values)
    declared = _declared()
    changes = []
    for seed, added in lines.items():
        path, file = _path(seed)
        before_rows = len(list(_read(path, file, declared.get(seed, Seed()))))
        before = path.read_bytes()
        columns = _columns(path, file)
        newline = b"\r\n" if b"\r\n" in before else b"\n"
        gap = b"" if before.endswith(b"\n") else newline
        appended = b"".join(
            _csv_line(columns, values).encode() + newline for values in added
        )
        change = Change(file, path, before, before + gap + appended)
        # The same reader as a sync's: what it would refuse is never written.
        with tempfile.NamedTemporaryFile(suffix=".csv") as trial:
            trial.write(change.after)
            trial.flush()
            again = list(_read(Path(trial.name), file, declared.get(seed, Seed())))
        if len(again) != before_rows + len(added):
            raise ConfigurationError(
                f"The policy file {file} ends in the middle of a row, so nothing can "
                "be appended to it. Nothing was written."
            )
        changes.append(change)
    return changes


def write(changes: list[Change]) -> None:
    """Put every changed file in place, each at once: no reader sees half of one.

    Raises ConfigurationError where a folder or file may not be written, or was edited
    since it was read; then no file was touched, or the message names those that were.
    """
    written: list[str] = []
    waiting: list[tuple[Path, Change]] = []
    try:
        for change in changes:
            descriptor, name = tempfile.mkstemp(
                dir=change.path.parent, prefix=f".{change.path.name}."
            )
            waiting.append((Path(name), change))
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(change.after)
            os.chmod(name, change.path.stat().st_mode & 0o7777)
        for temporary, change in waiting:
            if change.path.read_bytes() != change.before:
                raise OSError(f"{change.file} was edited in the meantime")
            os.replace(temporary, change.path)
            written.append(change.file)
    except OSError as error:
        done = f"{', '.join(written)} were" if written else "Nothing was"
        raise ConfigurationError(
            f"The policy cannot be written: {error}. {done} written. Run it again, or "
            "copy the rows from hubsync check."
        ) from None
    finally:
        for temporary, _ in waiting:
            with suppress(FileNotFoundError):
                temporary.unlink()


def _path(seed: str) -> tuple[Path, str]:
    """A seed's file, and what messages call it."""
    return SEEDS / f"{seed}.csv", f"dbt_project/seeds/{seed}.csv"


def _columns(path: Path, file: str) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            return next(csv.reader(handle), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(file, error) from None


def _csv_line(columns: list[str], values: dict[str, str]) -> str:
    text = io.StringIO()
    row = [values.get(name, "") for name in columns]
    csv.writer(text, lineterminator="").writerow(row)
    return text.getvalue()


def _declared() -> dict[str, Seed]:
    document = yaml.safe_load((SEEDS / "_seeds.yml").read_text(encoding="utf-8"))
    declared = {}
    for each in document["seeds"]:
        required: set[str] = set()
        words = {}
        for test in each.get("data_tests", []):
            if isinstance(test, dict) and "no_nulls" in test:
                required.update(test["no_nulls"]["arguments"]["columns"])
        for column in each.get("columns", []):
            for test in column.get("data_tests", []):
                if isinstance(test, dict) and "accepted_values" in test:
                    words[column["name"]] = test["accepted_values"]["arguments"][
                        "values"
                    ]
        columns = tuple(column["name"] for column in each.get("columns", []))
        declared[each["name"]] = Seed(columns, frozenset(required), words)
    return declared


def _read(path: Path, file: str, seed: Seed) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, strict=True)
            columns = reader.fieldnames or []
            if missing := [name for name in seed.columns if name not in columns]:
                raise _bad(file, 1, f"the column {', '.join(missing)} is missing")
            for record in reader:
                yield Row(file, reader.line_num, _values(record, file, reader, seed))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(file, error) from None


def _unreadable(file: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"The policy file {file} cannot be read: {error}. "
        "Nothing was loaded or published."
    )


def _values(
    record: dict[Any, Any], file: str, reader: Any, seed: Seed
) -> dict[str, str]:
    line = reader.line_num
    if None in record or None in record.values():
        names = ", ".join(reader.fieldnames)
        raise _bad(file, line, f"it must have one value for each of {names}")
    values = {str(key): str(value).strip() for key, value in record.items()}
    for name in sorted(seed.required):
        if not values[name]:
            raise _bad(file, line, f"{name} is empty")
    for name, words in seed.words.items():
        if values[name] not in words:
            known = ", ".join(words)
            raise _bad(file, line, f"{name} is {values[name]!r}; it can be {known}")
    return values


def _bad(file: str, line: int, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The policy file {file} is wrong at line {line}: {what}. "
        "Nothing was loaded or published."
    )


def _problem(values: dict[str, str], definitions: Definitions) -> str | None:
    """What the portal lacks of the things this row names, or None."""
    kind = values.get("object_type", "")
    if kind and kind not in definitions.properties:
        types = {name: t.label_plural for name, t in definitions.object_types.items()}
        return _missing("object type", kind, "", types)
    pipelines = definitions.pipelines.get(kind, [])
    if wanted := values.get("pipeline"):
        pipelines = [p for p in pipelines if is_called(p, wanted)]
        if not pipelines:
            known = _names(definitions.pipelines.get(kind, []), "id")
            return _missing("pipeline", wanted, f" of {kind}", known)
    if wanted := values.get("stage"):
        stages = [s for p in pipelines for s in p.get("stages") or []]
        if not any(is_called(stage, wanted) for stage in stages):
            where = values.get("pipeline")
            where = f" in pipeline {where!r} of {kind}" if where else f" of {kind}"
            return _missing("stage", wanted, where, _names(stages, "id"))
    properties = definitions.properties.get(kind, [])
    for column in ("property", "date_property"):
        wanted = values.get(column)
        if wanted and not any(p.get("name") == wanted for p in properties):
            return _missing(
                "property", wanted, f" of {kind}", _names(properties, "name")
            )
    if (name := values.get("property")) and (wanted := values.get("value")):
        options = next(p.get("options") for p in properties if p.get("name") == name)
        known = _names(options or [], "value")
        if known and wanted.casefold() not in map(str.casefold, known):
            return _missing("option", wanted, f" in {name!r} of {kind}", known)
    return None


def is_called(item: Json, wanted: str) -> bool:
    """By id, or by label in any case: as the models read these rows."""
    label = str(item.get("label") or "")
    return str(item.get("id")) == wanted or label.casefold() == wanted.casefold()


def _names(items: list[Json], key: str) -> dict[str, str]:
    return {str(item.get(key)): str(item.get("label") or "") for item in items}


def _missing(kind: str, wanted: str, where: str, known: dict[str, str]) -> str:
    """One sentence with the nearest real name, by id or by label."""
    sentence = f"this portal has no {kind} {wanted!r}{where}"
    spellings = {label.casefold(): name for name, label in known.items() if label}
    spellings |= {name.casefold(): name for name in known}
    near = difflib.get_close_matches(wanted.casefold(), spellings, 1, cutoff=0)
    if not near:
        return f"{sentence}; it has none at all"
    name = spellings[near[0]]
    label = f" ({known[name]!r})" if known[name] not in ("", name) else ""
    return f"{sentence}; the nearest is {name!r}{label}"

"""The business policy against the portal it is about, before anything is loaded.

Policy is seeds in `dbt_project/seeds`: CSV rows that name HubSpot's object types,
pipelines, stages, properties and options. Each row says in `if_missing` what to do
when the portal lacks what it names: `error` stops the run, `ignore` skips the row.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import ConfigurationError
from pipelines.hubspot.definitions import Definitions

SEEDS = Path(__file__).resolve().parents[1] / "dbt_project" / "seeds"

# A seed with one of these columns is about the portal.
_NAMES = ("object_type", "pipeline", "stage", "property")
_IF_MISSING = ("error", "ignore")


@dataclass(frozen=True)
class Row:
    """One line of a policy file; `line` counts from 1, as editors do."""

    file: str
    line: int
    values: dict[str, str]

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.file} line {self.line}"


def check(definitions: Definitions, seeds: Path = SEEDS) -> list[str]:
    """Sentences about `ignore` rows that this portal lacks.

    Raises ConfigurationError listing every `error` row the portal lacks, each with the
    nearest real name, or the first file that cannot be read as policy.
    """
    refused: list[str] = []
    skipped: list[str] = []
    for row in rows(seeds):
        if problem := _problem(row, definitions):
            if row.values["if_missing"] == "error":
                refused.append(f"{row.where}: {problem}")
            else:
                skipped.append(f"{row.where}: {problem}")
    if refused:
        raise ConfigurationError(
            "The policy names what this HubSpot portal does not have. Correct the row, "
            "or set its if_missing to ignore. Nothing was loaded or published.\n"
            + "\n".join(f"  {problem}" for problem in refused)
        )
    return skipped


def rows(seeds: Path = SEEDS) -> Iterator[Row]:
    """Every policy row about the portal. Raises ConfigurationError for a bad file."""
    for path in sorted(seeds.glob("*.csv")):
        file = f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
        yield from _read(path, file)


def _read(path: Path, file: str) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, strict=True)
            columns = reader.fieldnames
            if not columns:
                raise _bad(file, 1, "it has no header line")
            if not any(name in columns for name in _NAMES):
                return
            if "if_missing" not in columns:
                raise _bad(file, 1, "the column if_missing is missing")
            for record in reader:
                line = reader.line_num
                if None in record or None in record.values():
                    raise _bad(
                        file,
                        line,
                        f"the line has not {len(columns)} values, one for each of "
                        f"{', '.join(columns)}",
                    )
                values = {key: (value or "").strip() for key, value in record.items()}
                if values["if_missing"] not in _IF_MISSING:
                    raise _bad(
                        file,
                        line,
                        f"if_missing is {values['if_missing']!r}; "
                        "it must be error or ignore",
                    )
                yield Row(file, line, values)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(
            f"The policy file {file} cannot be read: {error}. "
            "Nothing was loaded or published."
        ) from None


def _bad(file: str, line: int, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The policy file {file} is wrong at line {line}: {what}. "
        "Nothing was loaded or published."
    )


def _problem(row: Row, definitions: Definitions) -> str | None:
    """What the portal lacks of the things this row names, or None."""
    values = row.values
    object_type = values.get("object_type") or "deals"
    if object_type not in definitions.object_types:
        known = {name: each.label_plural for name, each in _types(definitions)}
        return _missing("object type", object_type, "", known)
    if name := values.get("pipeline"):
        pipelines = definitions.pipelines.get(object_type, [])
        pipeline = _by_id(pipelines, "id", name)
        if pipeline is None:
            known = _labels(pipelines, "id")
            return _missing("pipeline", name, f" of {object_type}", known)
        stages = pipeline.get("stages") or []
        stage = values.get("stage")
        if stage and _by_id(stages, "id", stage) is None:
            label = f" in pipeline {name!r} of {object_type}"
            return _missing("stage", stage, label, _labels(stages, "id"))
    if name := values.get("property"):
        properties = definitions.properties.get(object_type, [])
        prop = _by_id(properties, "name", name)
        if prop is None:
            known = _labels(properties, "name")
            return _missing("property", name, f" of {object_type}", known)
        options = prop.get("options") or []
        value = values.get("value")
        if value and options and _by_id(options, "value", value) is None:
            label = f" of property {name!r} of {object_type}"
            return _missing("option", value, label, _labels(options, "value"))
    return None


def _types(definitions: Definitions) -> list[tuple[str, Any]]:
    return list(definitions.object_types.items())


def _by_id(items: list[dict[str, Any]], key: str, wanted: str) -> dict[str, Any] | None:
    return next((item for item in items if str(item.get(key)) == wanted), None)


def _labels(items: list[dict[str, Any]], key: str) -> dict[str, str]:
    return {str(item.get(key)): str(item.get("label") or "") for item in items}


def _missing(kind: str, wanted: str, where: str, known: dict[str, str]) -> str:
    """One sentence with the nearest real name, by id or by label."""
    sentence = f"this portal has no {kind} {wanted!r}{where}"
    names = {name.lower(): name for name in known}
    names |= {label.lower(): name for name, label in known.items() if label}
    for cutoff in (0.6, 0.3, 0.0):
        if near := difflib.get_close_matches(wanted.lower(), names, 1, cutoff):
            name = names[near[0]]
            label = f" ({known[name]!r})" if known[name] not in ("", name) else ""
            return f"{sentence}; the nearest is {name!r}{label}"
    return f"{sentence}; it has none at all"

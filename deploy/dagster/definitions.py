"""A Dagster code location: a partition per portal, each run of it one `hubsync sync`.

    dagster dev -f deploy/dagster/definitions.py

A portal is a file `NAME.env` in the folder that HUBSYNC_PORTALS names, with its token
and its database (docs/operating.md). Assets and their lineage are those of dbt's
manifest; every data test is a check of its asset.

Not dagster-dlt and no `dbt build` of dagster-dbt: each would run a part of a sync by
itself, without the lock, the breaker, HubSpot's history or the row in `ops.sync_runs`.
So there is one step, the command, in a process of its own with its own environment, and
what its log tells (`HUBSYNC_LOG=json`) becomes materialisations and checks. Nothing can
be published around it, and one portal's failure is one run's.
"""

# No `annotations` of the future here: Dagster reads them as they are.
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, build_dbt_asset_specs
from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "dbt_project"
MANIFEST = ROOT / "target" / "dagster" / "manifest.json"
EVERY = "*/5 * * * *"
BUSY_RETRIES = 3
BUSY_SECONDS = 60

_HELD = 3
_BUSY = 75

Result = dg.MaterializeResult[Any] | dg.AssetCheckResult


# -- portals ---------------------------------------------------------------------------


def read_portals(folder: Path) -> dict[str, dict[str, str]]:
    """Each portal's environment by its name, over the one of this process.

    Raises ValueError where there is no portal, or two of them name one database.
    """
    portals = {
        path.stem: {
            **os.environ,
            **{k: v for k, v in dotenv_values(path, interpolate=False).items() if v},
            # Side by side they must not parse over each other.
            "DBT_TARGET_PATH": str(ROOT / "target" / "portals" / path.stem),
            "HUBSYNC_LOG": "json",
        }
        for path in sorted(folder.glob("*.env"))
    }
    if not portals:
        raise ValueError(
            f"No portal: {folder} has no file NAME.env. HUBSYNC_PORTALS names the "
            "folder; docs/operating.md says what a file contains."
        )
    owners: dict[tuple[str, ...], str] = {}
    for name, environment in portals.items():
        other = owners.setdefault(_database(environment), name)
        if other != name:
            raise ValueError(
                f"The portals {other} and {name} name the same database. Each portal "
                f"needs its own: set HUBSYNC_DUCKDB or PGDATABASE in {name}.env."
            )
    return portals


def _database(environment: Mapping[str, str]) -> tuple[str, ...]:
    if environment.get("HUBSYNC_TARGET") == "postgres":
        return tuple(environment.get(v, "") for v in ("PGHOST", "PGPORT", "PGDATABASE"))
    return (str(ROOT / environment.get("HUBSYNC_DUCKDB", "hubsync.duckdb")),)


# -- assets and checks -----------------------------------------------------------------


def read_manifest() -> dict[str, Any]:
    """dbt's manifest, parsed anew where the project has changed since."""
    newest = max(path.stat().st_mtime for path in PROJECT.rglob("*.*"))
    if not MANIFEST.exists() or MANIFEST.stat().st_mtime < newest:
        subprocess.run(
            [
                *(sys.executable, "-m", "dbt.cli.main", "--quiet", "parse"),
                *("--target", "duckdb"),
                *("--project-dir", str(PROJECT)),
                *("--profiles-dir", str(ROOT)),
                *("--target-path", str(MANIFEST.parent)),
                *("--log-path", str(MANIFEST.parent)),
            ],
            env={**os.environ, "HUBSYNC_DUCKDB": ":memory:"},
            check=True,
        )
    manifest: dict[str, Any] = json.loads(MANIFEST.read_text())
    return manifest


class Translator(DagsterDbtTranslator):
    """Descriptions as the project's authors wrote them, without each model's SQL."""

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return str(dbt_resource_props.get("description") or "")


def raw_specs(manifest: Mapping[str, Any]) -> dict[str, dg.AssetSpec]:
    """The tables that the load writes, by name: dbt's sources."""
    return {
        str(source["name"]): dg.AssetSpec(
            [source["source_name"], source["name"]],
            description=source["description"],
            group_name="raw",
            kinds={"dlt"},
        )
        for source in manifest["sources"].values()
    }


def asset_specs(manifest: Mapping[str, Any]) -> dict[str, dg.AssetSpec]:
    """The models and seeds, by dbt's unique id."""
    specs = build_dbt_asset_specs(
        manifest=manifest, dagster_dbt_translator=Translator()
    )
    return {str(spec.metadata["dagster_dbt/unique_id"]): spec for spec in specs}


def check_specs(
    manifest: Mapping[str, Any], keys: Mapping[str, dg.AssetKey]
) -> dict[str, dg.AssetCheckSpec]:
    """The data tests, by dbt's unique id; `keys` are the assets' by theirs.

    A test of its own file belongs to the last model it reads: dagster-dbt leaves out
    those that read more than one.
    """
    checks = {}
    for test_id, node in manifest["nodes"].items():
        if node["resource_type"] == "test":
            tested = node.get("attached_node") or node["depends_on"]["nodes"][-1]
            checks[test_id] = dg.AssetCheckSpec(
                node["name"],
                asset=keys[tested],
                description=node["description"] or None,
                # The sync itself stops at it; this is how Dagster shows that.
                blocking=node["config"]["severity"].lower() == "error",
            )
    return checks


# -- one sync --------------------------------------------------------------------------


@contextmanager
def hubsync(*arguments: str, environment: Mapping[str, str]) -> Iterator[Any]:
    """The command, running; ended as a scheduler would end it when we are."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        cwd=ROOT,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # the log among what it prints: nothing overtakes
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def definitions(folder: Path) -> dg.Definitions:
    """The code location of the portals in that folder."""
    portals = read_portals(folder)
    manifest = read_manifest()
    raw = raw_specs(manifest)
    models = asset_specs(manifest)
    sources = {
        source_id: raw[source["name"]].key
        for source_id, source in manifest["sources"].items()
    }
    checks = check_specs(
        manifest, {**sources, **{node: spec.key for node, spec in models.items()}}
    )

    @dg.multi_asset(
        name="sync",
        # Skippable: what the sync does not report was not made.
        specs=[
            spec.replace_attributes(skippable=True)
            for spec in (*raw.values(), *models.values())
        ],
        check_specs=list(checks.values()),
        partitions_def=dg.StaticPartitionsDefinition(list(portals)),
    )
    def sync(context: dg.AssetExecutionContext) -> Iterator[Result]:
        """`hubsync sync` of one portal; what it tells, as assets and checks."""
        finished: dict[str, Any] = {}
        asked: set[str] = set()
        said: list[str] = []
        environment = portals[context.partition_key]
        with hubsync("sync", environment=environment) as process:
            for line in process.stdout:
                told = _told(line)
                if told is None:
                    print(line, end="")  # Dagster keeps it with the step
                    continue
                event, node = told["event"], told.get("node_id")
                if event == "message":
                    said.append(told["text"])
                elif event == "finished":
                    finished = told
                elif event == "loaded" and told["complete"]:
                    yield from _loaded(raw, told)
                elif node in models and told["status"] == "success":
                    yield dg.MaterializeResult(
                        asset_key=models[node].key,
                        metadata={"seconds": told["seconds"]},
                    )
                elif node in checks and told["status"] != "skipped":
                    asked.add(node)
                    yield _checked(checks[node], told)
            code = process.wait()
        if finished:
            tags = {name: str(finished[name]) for name in ("run_id", "held")}
            context.instance.add_run_tags(
                context.run.run_id, {f"hubsync/{name}": tags[name] for name in tags}
            )
        if code == _BUSY:  # somebody approves, or another scheduler is at work
            raise dg.RetryRequested(BUSY_RETRIES, BUSY_SECONDS) from RuntimeError(
                "\n".join(said)
            )
        if code not in (0, _HELD):
            raise dg.Failure(
                "\n".join(said) or f"hubsync sync ended with {code}.",
                metadata={"exit_code": code, "run": str(finished.get("run_id"))},
                allow_retries=False,
            )
        # A sync asks only what can have changed, and everything after a failure.
        for test_id in checks.keys() - asked:
            yield dg.AssetCheckResult(
                asset_key=checks[test_id].asset_key,
                check_name=checks[test_id].name,
                passed=True,
                description="Nothing that it reads has changed since it passed.",
            )
        for text in said:
            context.log.info(text)
        if code == _HELD:
            context.log.warning(
                f"{finished.get('held')} changes of access of {context.partition_key} "
                "wait for a person: hubsync plan, then hubsync approve or reject."
            )

    job = dg.define_asset_job(
        "sync_portal",
        selection=dg.AssetSelection.assets(sync),
        executor_def=dg.in_process_executor,  # the one step is a process already
    )

    @dg.schedule(job=job, cron_schedule=EVERY)
    def every_portal(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        """A run per portal, but never a second one beside the first."""
        unfinished = dg.RunsFilter(
            job_name=job.name,
            statuses=[
                dg.DagsterRunStatus.QUEUED,
                dg.DagsterRunStatus.NOT_STARTED,
                dg.DagsterRunStatus.STARTING,
                dg.DagsterRunStatus.STARTED,
                dg.DagsterRunStatus.CANCELING,
            ],
        )
        busy = {
            run.tags.get("dagster/partition")
            for run in context.instance.get_runs(unfinished)
        }
        return [
            dg.RunRequest(partition_key=name) for name in portals if name not in busy
        ]

    return dg.Definitions(assets=[sync], jobs=[job], schedules=[every_portal])


def _told(line: str) -> dict[str, Any] | None:
    """A line of the log; None for one that was written for people."""
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) and "event" in told else None


def _loaded(
    raw: Mapping[str, dg.AssetSpec], told: Mapping[str, Any]
) -> Iterator[Result]:
    for name, spec in raw.items():
        yield dg.MaterializeResult(
            asset_key=spec.key,
            metadata={
                "rows read": told["rows_read"].get(name, 0),
                "rows changed": told["rows_changed"].get(name, 0),
            },
        )


def _checked(spec: dg.AssetCheckSpec, told: Mapping[str, Any]) -> dg.AssetCheckResult:
    warns = told["status"] == "warn"
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=told["status"] == "pass",
        severity=dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR,
        metadata={"rows against it": told["failures"], "seconds": told["seconds"]},
    )


@dg.definitions
def hubsync_location() -> dg.Definitions:
    """What Dagster loads; importing this file alone looks for no portal."""
    return definitions(Path(os.environ.get("HUBSYNC_PORTALS", "/etc/hubsync/portals")))

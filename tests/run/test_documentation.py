"""What README and docs/ tell people to type does what they say.

Every ```console block is run, in the state that the comment above it names, against a
portal and a DuckDB file; `# exit 3` behind a command is its documented exit code, 0
without. What stands in ```sh blocks or in the text is about other machines: there every
`hubsync …` has to be one that exists.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from pipelines import cli, policy
from pipelines.warehouse import Warehouse
from sandbox import Portal, Server, serve
from tests.run.conftest import PORTAL_SIZE, Hubsync, query

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
STATES = ("new", "synced", "stale", "wrong token", "held")

_BLOCK = re.compile(
    r"(?ms)^(?:<!-- state: (?P<state>[a-z ]+) -->\n)?```console\n(?P<text>.*?)^```$"
)


@dataclass(frozen=True)
class Command:
    """One line that a reader may copy."""

    text: str
    exit_code: int


@dataclass(frozen=True)
class Block:
    page: str
    state: str
    commands: tuple[Command, ...]


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
            lines = re.findall(r"(?m)^\$ (.*)$", match["text"])
            commands = []
            for line in lines:
                text, _, comment = line.partition(" # ")
                code = re.fullmatch(r"exit (\d+)", comment.strip())
                commands.append(Command(text.strip(), int(code[1]) if code else 0))
            if any(command.text.startswith("hubsync") for command in commands):
                state = match["state"] or "without a state"
                found.append(Block(page.name, state, tuple(commands)))
    return found


def test_every_block_says_in_which_state_it_is_run() -> None:
    assert {block.state for block in blocks()} == set(STATES)
    for block in blocks():
        assert all(each.text.startswith("hubsync ") for each in block.commands), block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_the_text_exists(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page.read_text(encoding="utf-8")
    typed = re.findall(r"`(hubsync [^`]+)`", text)
    for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", text):
        typed += re.findall(r"(?m)^(hubsync .*?)(?: +#.*)?$", block)
    wrong = []
    for line in typed:
        _, *words = shlex.split(line)
        # In prose a command may stand without its arguments: then it needs help only.
        # (The portal's options, --help among them, are read by the sandbox.)
        is_whole = len(words) > 1 or words == ["portal"]
        arguments = words if is_whole else [*words, "--help"]
        try:
            cli._parser().parse_args(arguments)
        except SystemExit as end:
            if end.code:
                wrong.append(f"{line}: {capsys.readouterr().err}")
    assert wrong == []


def test_the_exit_codes_of_the_recovery_page_are_those_of_the_readme() -> None:
    readme, recovering = (
        (ROOT / name).read_text(encoding="utf-8")
        for name in ("README.md", "docs/recovering.md")
    )
    assert re.findall(r"(?m)^\| (\d+) \|", readme) == re.findall(
        r"(?m)^## (\d+): ", recovering
    )


def test_every_seed_and_variable_is_on_the_policy_page() -> None:
    page = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    for path in policy.SEEDS.glob("*.csv"):
        assert f"`{path.name}`" in page


def test_tests_that_run_after_a_publication_are_as_many_as_the_readme_says() -> None:
    tests = list((ROOT / "dbt_project" / "tests" / "app").glob("*.sql"))
    assert len(tests) == 6
    assert "Six tests look at what was published" in (ROOT / "README.md").read_text()


def test_the_index_of_decisions_has_each_of_them() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    for path in sorted(folder.glob("0*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0]
        number, _, name = title.removeprefix("# ").partition(". ")
        assert f"* [{int(number):04}]({path.name}): {name}\n" in index


# Running them.


@pytest.fixture(scope="module")
def portal() -> Portal:
    """The portal that the template was synced from, in a churn that looks wrong."""
    return Portal.example(companies=PORTAL_SIZE, seed=1)


@pytest.fixture(scope="module")
def running(portal: Portal) -> Iterator[Server]:
    with serve(portal, port=0) as server:
        yield server


@pytest.fixture
def settings(running: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__HUBSPOT__BASE_URL", running.url)
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", running.portal.token)
    monkeypatch.setenv("SOURCES__HUBSPOT__REQUESTS_PER_TEN_SECONDS", "5000")
    monkeypatch.setenv("SOURCES__HUBSPOT__SEARCHES_PER_SECOND", "500")


@pytest.fixture
def prepare(
    settings: None,
    duckdb_file: Path,
    duckdb_after_a_sync: Path,
    portal: Portal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], None]:
    """Put the database, the portal and the settings into a documented state."""
    seeds = tmp_path / "dbt_project" / "seeds"
    shutil.copytree(policy.SEEDS, seeds)
    shutil.copy(policy.SEEDS.parent / "policy_hints.toml", seeds.parent)
    monkeypatch.setattr(policy, "SEEDS", seeds)
    held = tmp_path / "held.duckdb"  # once a block has come so far

    def put(state: str) -> None:
        duckdb_file.unlink(missing_ok=True)
        if state == "new":
            return
        if state == "held" and held.exists():
            shutil.copy(held, duckdb_file)
            return
        shutil.copy(duckdb_after_a_sync, duckdb_file)
        if state == "stale":
            monkeypatch.setenv("HUBSYNC_STALE_MINUTES", "0.0001")
        if state == "wrong token":
            monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "wrong-token")
        if state == "held":
            _wave_of_churn(portal)  # the first block syncs it itself

    return put


def _wave_of_churn(portal: Portal) -> None:
    """Eight customers are marked as churned, and a ninth company buys."""
    warehouse = Warehouse.from_environment("duckdb")
    enabled = "select customer_id from app.access where is_enabled order by 1 limit 8"
    for (customer,) in query(warehouse, enabled):
        portal.update("companies", customer, {"customer_status": "churned"})
    ((buyer,),) = query(
        warehouse,
        "select min(customer_id) from app.access where reason_code = 'NO_SUBSCRIPTION'",
    )
    values = {"dealname": "Won", "pipeline": "default", "dealstage": "closedwon"}
    values["closedate"] = f"{portal.today()}T00:00:00Z"
    deal = portal.create("deals", values)
    portal.associate("deals", deal, "companies", buyer)


def _arguments(text: str, warehouse: Warehouse) -> list[str]:
    """The words of a command, with what its reader would put for the names in it."""
    words = shlex.split(text)[1:]
    for place, word in enumerate(words):
        if word == "PLAN":
            sql = "select plan_id from ops.plans order by planned_at desc limit 1"
        elif word == "RUN":
            sql = "select run_id from app.access_events order by event_id desc limit 1"
        elif word == "acme.com":
            sql = "select min(domain) from app.customers where domain <> ''"
        else:
            continue
        ((words[place],),) = query(warehouse, sql)
    return words


@pytest.mark.parametrize("state", STATES)
def test_every_documented_command_ends_as_documented(
    state: str, prepare: Callable[[str], None], hubsync: Hubsync, tmp_path: Path
) -> None:
    warehouse = Warehouse.from_environment("duckdb")
    done: set[str] = set()
    for block in blocks():
        if block.state != state or {each.text for each in block.commands} <= done:
            continue
        prepare(state)
        for command in block.commands:
            outcome = hubsync(*_arguments(command.text, warehouse))
            assert outcome.code == command.exit_code, (
                f"{block.page}: {command.text}\n{outcome.out}{outcome.err}"
            )
            done.add(command.text)
            if outcome.code == 3 and warehouse.path is not None:
                # dbt's connection lives on: the file alone may miss the run's end.
                with duckdb.connect(str(warehouse.path)) as connection:
                    connection.execute("checkpoint")
                shutil.copy(warehouse.path, tmp_path / "held.duckdb")

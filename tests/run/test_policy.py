"""Policy rows against the portal: what a person wrote wrong is said before loading."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines import policy
from pipelines.errors import ConfigurationError
from pipelines.hubspot.definitions import Definitions
from pipelines.hubspot.objects import STANDARD

PORTAL = Definitions(
    portal={},
    object_types=dict(STANDARD),
    properties={name: [] for name in STANDARD}
    | {
        "companies": [
            {
                "name": "customer_status",
                "label": "Customer status",
                "options": [
                    {"label": "Active", "value": "active"},
                    {"label": "Left us", "value": "churned"},
                ],
            },
            {"name": "churn_date", "label": "Churn date", "options": []},
        ]
    },
    pipelines={
        "deals": [
            {
                "id": "8812",
                "label": "Renewal Pipeline",
                "stages": [
                    {"id": "991", "label": "Renewed"},
                    {"id": "renewal_lost", "label": "Closed lost, churned"},
                ],
            }
        ]
    },
    owners=[],
)


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped policy, to be edited."""
    folder = tmp_path / "seeds"
    shutil.copytree(policy.SEEDS, folder)
    monkeypatch.setattr(policy, "SEEDS", folder)
    return folder


def add(seeds: Path, file: str, line: str) -> None:
    with (seeds / file).open("a", encoding="utf-8") as handle:
        handle.write(line + "\n")


def refusal() -> str:
    with pytest.raises(ConfigurationError) as caught:
        policy.check(PORTAL)
    return str(caught.value)


def test_the_shipped_policy_is_accepted_by_a_portal_that_has_none_of_it() -> None:
    bare = Definitions({}, dict(STANDARD), {n: [] for n in STANDARD}, {"deals": []}, [])
    gaps = policy.check(bare)
    assert any("'customer_status' of companies" in gap for gap in gaps)
    assert len(gaps) == len(set(gaps))


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        (
            "deal_stages.csv",
            "deals,8812,renewal_lst,lost,error",
            "no stage 'renewal_lst' in pipeline '8812' of deals; the nearest is "
            "'renewal_lost' ('Closed lost, churned')",
        ),
        (
            "deal_stages.csv",
            "deals,Renewal Pipeline,Renewd,won,error",
            "the nearest is '991' ('Renewed')",
        ),
        (
            "deal_pipelines.csv",
            "deals,renewal pipelin,renewal,error",
            "no pipeline 'renewal pipelin' of deals; the nearest is '8812'",
        ),
        (
            "churn_signals.csv",
            "LEFT,churn,companies,,,customer_state,churned,,error",
            "no property 'customer_state' of companies; the nearest is "
            "'customer_status'",
        ),
        (
            "churn_signals.csv",
            "LEFT,churn,companies,,,customer_status,churnd,,error",
            "no option 'churnd' in 'customer_status' of companies; the nearest is "
            "'churned' ('Left us')",
        ),
        (
            "churn_signals.csv",
            "LEFT,churn,companies,,,customer_status,churned,churndate,error",
            "no property 'churndate' of companies; the nearest is 'churn_date'",
        ),
        (
            "churn_signals.csv",
            "LEFT,churn,company,,,customer_status,churned,,error",
            "no object type 'company'; the nearest is 'companies'",
        ),
    ],
)
def test_an_error_row_names_file_line_and_the_nearest_real_name(
    seeds: Path, file: str, line: str, said: str
) -> None:
    add(seeds, file, line)
    number = len((seeds / file).read_text(encoding="utf-8").splitlines())
    assert f"dbt_project/seeds/{file} line {number}: " in refusal()
    assert said in refusal()


def test_labels_and_any_case_are_real_names_too(seeds: Path) -> None:
    add(seeds, "deal_stages.csv", "deals,renewal PIPELINE,closed LOST,lost,ignore")
    add(seeds, "deal_stages.csv", "deals,renewal PIPELINE,RENEWED,won,error")
    add(
        seeds,
        "churn_signals.csv",
        "LEFT,churn,companies,,,customer_status,CHURNED,churn_date,error",
    )
    policy.check(PORTAL)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("deals,8812,renewal,sometimes", "if_missing is 'sometimes'; it can be error"),
        ("deals,8812,churn,error", "role is 'churn'; it can be sales, renewal, ignore"),
        ("deals,8812,renewal", "it must have one value for each of object_type,"),
        ("deals,8812,renewal,error,more", "it must have one value for each of"),
        ("deals,,renewal,error", "pipeline is empty"),
    ],
)
def test_a_bad_line_is_named_with_what_it_may_say(
    seeds: Path, line: str, said: str
) -> None:
    add(seeds, "deal_pipelines.csv", line)
    assert "deal_pipelines.csv is wrong at line" in refusal()
    assert said in refusal()


def test_a_missing_column_is_named(seeds: Path) -> None:
    file = seeds / "deal_pipelines.csv"
    file.write_text("object_type,pipeline,role\ndeals,default,sales\n")
    assert "line 1: the column if_missing is missing" in refusal()


def test_a_file_that_is_not_text_is_named(seeds: Path) -> None:
    (seeds / "plans.csv").write_bytes(b"object_type,property\xff\xfe\n")
    assert "policy file dbt_project/seeds/plans.csv cannot be read" in refusal()

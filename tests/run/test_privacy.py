"""A person who is erased in HubSpot is erased here, wherever they had got to."""

from __future__ import annotations

from pipelines.warehouse import Warehouse
from sandbox import Portal
from tests.run.conftest import Hubsync, app_rows, query

# Nothing else in the example portal holds these words.
PERSON = {
    "email": "zaphod.needle@example.com",
    "firstname": "Zaphodneedle",
    "lastname": "Beeblebroxneedle",
    "phone": "+31 20 7654321 needle",
    "jobtitle": "Presidentneedle",
}
TWIN = {**PERSON, "email": "zaphod.twin.needle@example.com"}


def places(warehouse: Warehouse) -> set[str]:
    """Every table of every schema that holds any of it, in whatever column."""
    tables = query(
        warehouse,
        "select table_schema, table_name from information_schema.tables "
        "where table_schema not in ('pg_catalog', 'information_schema')",
    )
    assert len(tables) > 50
    return {
        f"{schema}.{table}"
        for schema, table in tables
        if query(
            warehouse,
            f'select 1 from "{schema}"."{table}" as t '
            "where lower(cast(t as text)) like '%needle%' limit 1",
        )
    }


def test_a_privacy_deletion_leaves_the_person_in_no_table(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    (company, level) = query(
        synced,
        "select customer_id, access_level from app.access where is_enabled "
        "order by customer_id limit 1",
    )[0]
    person, twin = (portal.create("contacts", each) for each in (PERSON, TWIN))
    for contact in (person, twin):
        portal.associate("contacts", contact, "companies", company)
    assert hubsync("sync").code == 0
    portal.merge("contacts", person, twin)
    assert hubsync("sync", "--full").code == 0
    held = places(synced)
    assert {"hubspot_raw.contacts", "app.contacts", "hubspot.contacts"} <= held
    audit = app_rows(synced)["access_events"]

    portal.privacy_delete("contacts", person)
    assert hubsync("sync", "--full").code == 0
    assert places(synced) == set()
    assert query(
        synced,
        "select contact_id, record_state, email from app.contacts "
        "where contact_id in (?, ?) order by record_state",
        person,
        twin,
    ) == [(person, "erased", None), (twin, "merged", None)]
    assert app_rows(synced)["access_events"] == audit
    assert query(
        synced,
        "select is_enabled, access_level from app.access where customer_id = ?",
        company,
    ) == [(True, level)]

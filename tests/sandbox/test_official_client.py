"""HubSpot's own client, which knows nothing of us, judges the sandbox."""

from __future__ import annotations

from typing import Any

import pytest
from hubspot import Client
from hubspot.crm.associations.v4 import (
    AssociationSpec,
    BatchInputPublicAssociationMultiPost,
    BatchInputPublicDefaultAssociationMultiPost,
    BatchInputPublicFetchAssociationsBatchRequest,
    PublicAssociationMultiPost,
    PublicFetchAssociationsBatchRequest,
)
from hubspot.crm.companies import (
    BatchInputSimplePublicObjectBatchInput,
    BatchInputSimplePublicObjectBatchInputForCreate,
    BatchInputSimplePublicObjectBatchInputUpsert,
    BatchInputSimplePublicObjectId,
    BatchReadInputSimplePublicObjectId,
    PublicMergeInput,
    PublicObjectSearchRequest,
    SimplePublicObjectInput,
    SimplePublicObjectInputForCreate,
)
from hubspot.crm.contacts import ApiException, PublicGdprDeleteInput
from hubspot.crm.objects import SimplePublicObjectInputForCreate as NewObject
from hubspot.crm.properties import PropertyCreate, PropertyGroupCreate

from sandbox import Portal, serve


@pytest.fixture(scope="module")
def example() -> Portal:
    return Portal.example(companies=50, seed=3)


@pytest.fixture
def read(example: Portal) -> Any:
    with serve(example) as server:
        yield Client.create(access_token=example.token, host=server.url)


def test_it_lists_every_live_record_of_every_type(read: Any, example: Portal) -> None:
    pages = {
        "companies": read.crm.companies.get_all(),
        "contacts": read.crm.contacts.get_all(properties=["email", "Foo-Bar"]),
        "deals": read.crm.deals.get_all(),
        "line_items": read.crm.line_items.get_all(),
        "products": read.crm.products.get_all(),
        "tickets": read.crm.tickets.get_all(),
    }
    for name, records in pages.items():
        assert [record.id for record in records] == example.live_ids(name)


def test_it_reads_archived_records_apart_from_live_ones(
    read: Any, example: Portal
) -> None:
    archived = read.crm.contacts.get_all(archived=True)
    assert [record.id for record in archived] == example.archived_ids("contacts")
    assert all(record.archived and record.archived_at for record in archived)


def test_it_reads_values_to_the_character(read: Any, example: Portal) -> None:
    names = sorted(example.live_properties("contacts"))
    for record in read.crm.contacts.get_all(properties=names):
        truth = example.record("contacts", record.id)
        assert truth is not None
        assert record.properties == truth["properties"]


def test_it_reads_custom_objects_through_their_schema(
    read: Any, example: Portal
) -> None:
    (schema,) = read.crm.schemas.core_api.get_all().results
    assert (schema.name, schema.labels.plural) == ("licenses", "Licenses")
    assert "license_key" in [one.name for one in schema.properties]
    found = read.crm.objects.basic_api.get_page(schema.object_type_id, limit=100)
    assert [one.id for one in found.results] == example.live_ids("licenses")[:100]


def test_it_searches_page_by_page(read: Any, example: Portal) -> None:
    found: list[str] = []
    after = None
    while True:
        page = read.crm.contacts.search_api.do_search(
            PublicObjectSearchRequest(
                filter_groups=[
                    {
                        "filters": [
                            {
                                "propertyName": "lastmodifieddate",
                                "operator": "GTE",
                                "value": "0",
                            }
                        ]
                    }
                ],
                sorts=["hs_object_id"],
                properties=["email"],
                limit=100,
                after=after,
            )
        )
        found += [record.id for record in page.results]
        if page.paging is None:
            break
        after = page.paging.next.after
    assert found == example.live_ids("contacts")
    assert page.total == len(found)


def test_it_batch_reads_and_learns_what_is_missing(read: Any, example: Portal) -> None:
    ids = example.live_ids("companies")[:20]
    wanted = [{"id": one} for one in [*ids, "1"]]
    answer = read.crm.companies.batch_api.read(
        BatchReadInputSimplePublicObjectId(
            inputs=wanted, properties=["name"], properties_with_history=[]
        )
    )
    assert {record.id for record in answer.results} == set(ids)
    assert answer.errors[0].context == {"ids": ["1"]}


def test_it_walks_associations_in_batches(read: Any, example: Portal) -> None:
    ids = example.live_ids("contacts")
    answer = read.crm.associations.v4.batch_api.get_page(
        "contacts",
        "companies",
        BatchInputPublicFetchAssociationsBatchRequest(
            inputs=[PublicFetchAssociationsBatchRequest(id=one) for one in ids]
        ),
    )
    walked = {
        ("contacts", row._from.id, "companies", str(to.to_object_id), kind.type_id)
        for row in answer.results
        for to in row.to
        for kind in to.association_types
    }
    assert walked == {
        edge
        for edge in example.edges()
        if (edge[0], edge[2]) == ("contacts", "companies")
    }


def test_it_reads_definitions(read: Any, example: Portal) -> None:
    properties = read.crm.properties.core_api.get_all("contacts").results
    assert len(properties) >= 60
    assert {one.name for one in properties} == set(example.live_properties("contacts"))
    archived = read.crm.properties.core_api.get_all("contacts", archived=True).results
    assert [one.name for one in archived] == ["retired_field"]
    assert read.crm.properties.groups_api.get_all("contacts").results

    pipelines = read.crm.pipelines.pipelines_api.get_all("deals").results
    assert [one.id for one in pipelines] == ["default", "renewal"]
    won = {
        stage.id
        for pipeline in pipelines
        for stage in pipeline.stages
        if stage.metadata == {"isClosed": "true", "probability": "1.0"}
    }
    assert won == {"closedwon", "renewal_won"}


def test_it_pages_owners_and_finds_deactivated_ones(read: Any, example: Portal) -> None:
    first = read.crm.owners.owners_api.get_page(limit=4)
    rest = read.crm.owners.owners_api.get_page(limit=500, after=first.paging.next.after)
    ids = [one.id for one in first.results + rest.results]
    assert ids == [one["id"] for one in example.owners if not one["archived"]]
    gone = read.crm.owners.owners_api.get_page(archived=True).results
    assert len(gone) == 2
    assert all(one.user_id is None and one.user_id_including_inactive for one in gone)


def test_it_writes_records(hubspot: Any, portal: Portal) -> None:
    companies = hubspot.crm.companies.basic_api
    made = companies.create(
        SimplePublicObjectInputForCreate(properties={"name": "A"}, associations=[])
    )
    companies.update(made.id, SimplePublicObjectInput(properties={"name": "B"}))
    truth = portal.record("companies", made.id)
    assert truth is not None
    assert truth["properties"]["name"] == "B"
    companies.archive(made.id)
    assert portal.live_ids("companies") == []
    assert portal.archived_ids("companies") == [made.id]


def test_it_writes_batches(hubspot: Any, portal: Portal) -> None:
    batch = hubspot.crm.contacts.batch_api
    made = batch.create(
        BatchInputSimplePublicObjectBatchInputForCreate(
            inputs=[
                {"properties": {"email": f"{n}@x.example"}, "associations": []}
                for n in range(3)
            ]
        )
    ).results
    batch.update(
        BatchInputSimplePublicObjectBatchInput(
            inputs=[{"id": one.id, "properties": {"firstname": "N"}} for one in made]
        )
    )
    upserted = batch.upsert(
        BatchInputSimplePublicObjectBatchInputUpsert(
            inputs=[
                {"id": one, "idProperty": "email", "properties": {"lastname": "U"}}
                for one in ("0@x.example", "new@x.example")
            ]
        )
    ).results
    assert [one.new for one in upserted] == [False, True]
    batch.archive(BatchInputSimplePublicObjectId(inputs=[{"id": made[1].id}]))
    values = [portal.record("contacts", one) for one in portal.live_ids("contacts")]
    assert [
        (one["properties"]["firstname"], one["properties"]["lastname"])
        for one in values
        if one
    ] == [("N", "U"), ("N", None), (None, "U")]


def test_it_merges_and_privacy_deletes(hubspot: Any, portal: Portal) -> None:
    first, second, third = (
        portal.create("contacts", {"email": f"{n}@x.example"}) for n in range(3)
    )
    survivor = hubspot.crm.contacts.basic_api.merge(
        PublicMergeInput(primary_object_id=first, object_id_to_merge=second)
    )
    assert survivor.id == first
    assert survivor.properties["hs_merged_object_ids"] == second
    hubspot.crm.contacts.basic_api.purge(
        PublicGdprDeleteInput(object_id="2@x.example", id_property="email")
    )
    assert portal.record("contacts", third) is None
    with pytest.raises(ApiException) as refused:
        hubspot.crm.contacts.basic_api.get_by_id(third)
    assert refused.value.status == 404


def test_it_writes_associations(hubspot: Any, portal: Portal) -> None:
    contact = portal.create("contacts", {"email": "a@x.example"})
    companies = [portal.create("companies", {"name": n}) for n in "ab"]
    v4 = hubspot.crm.associations.v4
    v4.basic_api.create(
        "contacts",
        contact,
        "companies",
        companies[0],
        [AssociationSpec("HUBSPOT_DEFINED", 1)],
    )
    v4.batch_api.create_default(
        "contacts",
        "companies",
        BatchInputPublicDefaultAssociationMultiPost(
            inputs=[{"from": {"id": contact}, "to": {"id": companies[1]}}]
        ),
    )
    page = v4.basic_api.get_page("companies", companies[0], "contacts")
    assert [kind.type_id for kind in page.results[0].association_types] == [2, 280]
    v4.batch_api.create(
        "contacts",
        "companies",
        BatchInputPublicAssociationMultiPost(
            inputs=[
                PublicAssociationMultiPost(
                    _from={"id": contact},
                    to={"id": companies[1]},
                    types=[AssociationSpec("HUBSPOT_DEFINED", 1)],
                )
            ]
        ),
    )
    assert {edge for edge in portal.edges() if edge[0] == "contacts"} == {
        ("contacts", contact, "companies", companies[0], 279),
        ("contacts", contact, "companies", companies[1], 1),
        ("contacts", contact, "companies", companies[1], 279),
    }
    v4.basic_api.archive("contacts", contact, "companies", companies[1])
    assert len(portal.edges()) == 2


def test_it_defines_properties(hubspot: Any, portal: Portal) -> None:
    hubspot.crm.properties.groups_api.create(
        "deals", PropertyGroupCreate(name="contract", label="Contract")
    )
    hubspot.crm.properties.core_api.create(
        "deals",
        PropertyCreate(
            name="seats",
            label="Seats",
            type="number",
            field_type="number",
            group_name="contract",
        ),
    )
    deal = hubspot.crm.objects.basic_api.create(
        "deals",
        NewObject(
            properties={
                "dealname": "D",
                "pipeline": "default",
                "dealstage": "closedwon",
                "seats": "7",
            },
            associations=[],
        ),
    )
    assert deal.properties["seats"] == "7"
    assert deal.properties["hs_is_closed_won"] == "true"
    hubspot.crm.properties.core_api.archive("deals", "seats")
    again = hubspot.crm.deals.basic_api.get_by_id(deal.id, properties=["seats"])
    assert "seats" not in again.properties

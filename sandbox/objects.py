"""The object types of a portal: ids, names, what each returns unasked (2.1, 2.2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ObjectType:
    """One object type; `name` is HubSpot's plural path name and our key everywhere."""

    type_id: str
    name: str
    singular: str
    created: str = "hs_createdate"
    modified: str = "hs_lastmodifieddate"
    defaults: tuple[str, ...] = ()
    required: tuple[str, ...] = ()  # on create through the API
    mergeable: bool = False
    scope: str = ""  # the <x> of crm.objects.<x>.read
    custom: bool = False

    @property
    def always(self) -> tuple[str, str, str]:
        """Returned with every record, asked for or not."""
        return ("hs_object_id", self.created, self.modified)

    def read_scopes(self) -> list[str]:
        """Any one of these lets a token read records (section 7)."""
        return self._scopes("read")

    def write_scopes(self) -> list[str]:
        return self._scopes("write")

    def schema_scopes(self, action: str = "read") -> list[str]:
        """Any one of these lets a token read (or write) definitions."""
        scopes = [f"crm.schemas.{self.scope}.{action}"]
        return scopes + (self.read_scopes() if action == "read" else [])

    def _scopes(self, action: str) -> list[str]:
        scopes = [f"crm.objects.{self.scope}.{action}"]
        if self.name == "tickets":
            scopes.append("tickets")
        if self.name in ("line_items", "products", "quotes"):
            scopes.append("e-commerce")
        return scopes


def _standard() -> list[ObjectType]:
    made = "createdate"
    types = [
        ObjectType(
            "0-1",
            "contacts",
            "contact",
            created=made,
            modified="lastmodifieddate",
            defaults=("email", "firstname", "lastname"),
            mergeable=True,
        ),
        ObjectType(
            "0-2",
            "companies",
            "company",
            created=made,
            defaults=("name", "domain"),
            mergeable=True,
        ),
        ObjectType(
            "0-3",
            "deals",
            "deal",
            created=made,
            defaults=("dealname", "amount", "closedate", "pipeline", "dealstage"),
            required=("dealname", "dealstage", "pipeline"),
            mergeable=True,
        ),
        ObjectType(
            "0-5",
            "tickets",
            "ticket",
            created=made,
            defaults=(
                "content",
                "hs_pipeline",
                "hs_pipeline_stage",
                "hs_ticket_category",
                "hs_ticket_priority",
                "subject",
            ),
            required=("subject", "hs_pipeline", "hs_pipeline_stage"),
            mergeable=True,
        ),
        ObjectType(
            "0-7",
            "products",
            "product",
            created=made,
            defaults=("name", "description", "price"),
        ),
        ObjectType(
            "0-8",
            "line_items",
            "line_item",
            created=made,
            defaults=("quantity", "amount", "price"),
        ),
        ObjectType("0-69", "subscriptions", "subscription", required=("hs_name",)),
        ObjectType(
            "0-14",
            "quotes",
            "quote",
            defaults=(
                "hs_expiration_date",
                "hs_public_url_key",
                "hs_status",
                "hs_title",
            ),
        ),
    ]
    plain = (
        "0-18 communications communication|0-27 tasks task|0-46 notes note"
        "|0-47 meetings meeting|0-48 calls call|0-49 emails email"
        "|0-53 invoices invoice|0-74 goal_targets goal_target"
        "|0-84 discounts discount|0-85 fees fee|0-86 taxes tax"
        "|0-101 commerce_payments commerce_payment|0-115 users user"
        "|0-116 postal_mail postal_mail|0-123 orders order|0-136 leads lead"
        "|0-142 carts cart|0-162 services service|0-410 courses course"
        "|0-420 listings listing|0-421 appointments appointment|0-970 projects project"
    )
    for entry in plain.split("|"):
        type_id, name, singular = entry.split(" ")
        types.append(ObjectType(type_id, name, singular))
    return [
        ObjectType(**{**vars(one), "scope": one.name.replace("commerce_", "commerce")})
        for one in types
    ]


STANDARD = {one.name: one for one in _standard()}

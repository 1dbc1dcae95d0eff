"""What we read: object types and the pairs of types that HubSpot links.

Sources: hubspot_api.md 2.1 (ids, names), 3.1 (modified dates), 4.3 (associations).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ObjectType:
    """One object type of the portal and its raw table."""

    name: str  # table name, and object_type everywhere in hubspot_raw
    type_id: str
    path: str  # what stands in URLs
    label_singular: str
    label_plural: str
    is_custom: bool = False
    primary_display_property: str | None = None
    aliases: frozenset[str] = field(default_factory=frozenset)

    @property
    def modified_property(self) -> str:
        """Filtering contacts by any other name answers nothing, with status 200."""
        return "lastmodifieddate" if self.name == "contacts" else "hs_lastmodifieddate"


def _standard(
    name: str, type_id: str, singular: str, plural: str, display: str
) -> ObjectType:
    return ObjectType(
        name, type_id, name, singular, plural, primary_display_property=display
    )


STANDARD = {
    each.name: each
    for each in (
        _standard("companies", "0-2", "Company", "Companies", "name"),
        _standard("contacts", "0-1", "Contact", "Contacts", "email"),
        _standard("deals", "0-3", "Deal", "Deals", "dealname"),
        _standard("line_items", "0-8", "Line item", "Line items", "name"),
        _standard("products", "0-7", "Product", "Products", "name"),
        _standard("subscriptions", "0-69", "Subscription", "Subscriptions", "hs_name"),
        _standard("tickets", "0-5", "Ticket", "Tickets", "subject"),
        _standard("quotes", "0-14", "Quote", "Quotes", "hs_title"),
        _standard("invoices", "0-53", "Invoice", "Invoices", "hs_number"),
        _standard("orders", "0-123", "Order", "Orders", "hs_order_name"),
        _standard("leads", "0-136", "Lead", "Leads", "hs_lead_name"),
    )
}

# Unordered pairs; each is read from both of its sides, because HubSpot gives each
# direction its own type ids.
_LINKED = (
    ("companies", "companies"),
    ("companies", "contacts"),
    ("companies", "deals"),
    ("companies", "invoices"),
    ("companies", "leads"),
    ("companies", "orders"),
    ("companies", "quotes"),
    ("companies", "subscriptions"),
    ("companies", "tickets"),
    ("contacts", "contacts"),
    ("contacts", "deals"),
    ("contacts", "invoices"),
    ("contacts", "leads"),
    ("contacts", "orders"),
    ("contacts", "quotes"),
    ("contacts", "subscriptions"),
    ("contacts", "tickets"),
    ("deals", "deals"),
    ("deals", "invoices"),
    ("deals", "line_items"),
    ("deals", "orders"),
    ("deals", "quotes"),
    ("deals", "subscriptions"),
    ("deals", "tickets"),
    ("invoices", "line_items"),
    ("invoices", "quotes"),
    ("invoices", "subscriptions"),
    ("line_items", "orders"),
    ("line_items", "quotes"),
    ("line_items", "subscriptions"),
    ("orders", "subscriptions"),
    ("quotes", "subscriptions"),
    ("subscriptions", "tickets"),
)

# What a custom object can be linked to when its schema does not say.
_CUSTOM_LINKS = ("companies", "contacts", "deals", "tickets")


def association_pairs(
    types: dict[str, ObjectType], declared: dict[str, set[str]]
) -> list[tuple[str, str]]:
    """Ordered pairs (from, to) to read among the loaded types.

    `declared` maps a custom object's table to the type ids its schema links it with;
    an empty set means that the schema told nothing.
    """
    by_id = {each.type_id: each.name for each in types.values()}
    pairs = {pair for pair in _LINKED if pair[0] in types and pair[1] in types}
    for name, each in types.items():
        if not each.is_custom:
            continue
        links = {by_id[i] for i in declared.get(name, set()) if i in by_id}
        for other in links or {o for o in _CUSTOM_LINKS if o in types}:
            pairs.add((min(name, other), max(name, other)))
    return sorted(pairs | {(b, a) for a, b in pairs})

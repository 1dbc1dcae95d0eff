"""Property definitions: HubSpot's own ones, and their JSON (hubspot_api.md 5, 6.3)."""

from __future__ import annotations

from typing import Any

from sandbox.objects import ObjectType

Definition = dict[str, Any]

LIFECYCLE = (
    "subscriber,lead,marketingqualifiedlead,salesqualifiedlead,opportunity,customer,"
    "evangelist,other"
)
FREQUENCY = "weekly,biweekly,monthly,quarterly,per_six_months,annually,per_two_years"
INDUSTRIES = "COMPUTER_SOFTWARE,RETAIL,HOSPITAL_HEALTH_CARE,CONSTRUCTION,EDUCATION"

# One line per property: `name type/fieldType flags options`. Flags: `ro` read-only,
# `calc` calculated (read-only too), `uniq`, `hidden`, `owner`, `money`, `-` for none.
EVERY_TYPE = """
hs_object_id number/number ro
hs_merged_object_ids enumeration/checkbox ro,hidden
hs_object_source enumeration/select ro CRM_UI,API,IMPORT,INTEGRATION,FORM
hs_object_source_label enumeration/select ro CRM_UI,API,IMPORT,INTEGRATION,FORM
hs_object_source_id string/text ro
hs_created_by_user_id number/number ro
hs_updated_by_user_id number/number ro
hubspot_owner_id enumeration/select owner
"""

OF_TYPE = {
    "companies": f"""
name string/text
domain string/text
hs_additional_domains enumeration/checkbox ro
website string/text
phone phone_number/phonenumber
address string/text
city string/text
state string/text
zip string/text
country string/text
industry enumeration/select - {INDUSTRIES}
type enumeration/select - PROSPECT,PARTNER,RESELLER,VENDOR,OTHER
description string/textarea
numberofemployees number/number
annualrevenue number/number money
total_revenue number/calculation_rollup calc,money
lifecyclestage enumeration/radio - {LIFECYCLE}
hs_lead_status enumeration/radio - NEW,OPEN,IN_PROGRESS,OPEN_DEAL,UNQUALIFIED
hs_parent_company_id number/number ro
num_associated_contacts number/calculation_rollup calc
num_associated_deals number/calculation_rollup calc
closedate datetime/date
notes_last_updated datetime/date ro
""",
    "contacts": f"""
email string/text uniq
hs_additional_emails enumeration/checkbox ro
firstname string/text
lastname string/text
phone phone_number/phonenumber
mobilephone phone_number/phonenumber
jobtitle string/text
company string/text
website string/text
address string/text
city string/text
state string/text
zip string/text
country string/text
hs_language enumeration/select - en,de,fr,nl
lifecyclestage enumeration/radio - {LIFECYCLE}
hs_lead_status enumeration/radio - NEW,OPEN,IN_PROGRESS,OPEN_DEAL,UNQUALIFIED
associatedcompanyid number/number ro
hs_calculated_merged_vids enumeration/calculation_equation calc,hidden
hs_email_optout bool/booleancheckbox
hs_marketable_status enumeration/select ro true,false
num_associated_deals number/calculation_rollup calc
notes_last_updated datetime/date ro
""",
    "deals": """
dealname string/text
amount number/number money
amount_in_home_currency number/calculation_equation calc
deal_currency_code enumeration/select - USD,EUR,GBP
dealstage enumeration/radio
pipeline enumeration/select
dealtype enumeration/radio - newbusiness,existingbusiness
closedate datetime/date
description string/textarea
hs_is_closed bool/calculation_equation calc
hs_is_closed_won bool/calculation_equation calc
hs_is_closed_lost bool/calculation_equation calc
hs_deal_stage_probability number/calculation_equation calc
closed_won_reason string/textarea
closed_lost_reason string/textarea
hs_mrr number/calculation_rollup calc
hs_arr number/calculation_rollup calc
hs_acv number/calculation_rollup calc
hs_tcv number/calculation_rollup calc
hs_primary_associated_company number/number ro
num_associated_contacts number/calculation_rollup calc
notes_last_updated datetime/date ro
""",
    "line_items": f"""
name string/text
description string/textarea
hs_product_id number/number
hs_sku string/text
quantity number/number
price number/number money
amount number/number money
discount number/number
hs_discount_percentage number/number
hs_line_item_currency_code enumeration/select - USD,EUR,GBP
recurringbillingfrequency enumeration/select - {FREQUENCY}
hs_recurring_billing_period string/text
hs_recurring_billing_start_date date/date
hs_recurring_billing_end_date date/date ro
hs_recurring_billing_number_of_payments number/number
hs_term_in_months number/calculation_equation calc
hs_mrr number/calculation_equation calc
hs_arr number/calculation_equation calc
hs_pricing_model enumeration/select - flat,volume,graduated,stairstep
""",
    "products": f"""
name string/text
description string/textarea
price number/number money
hs_sku string/text
hs_cost_of_goods_sold number/number
hs_recurring_billing_period string/text
recurringbillingfrequency enumeration/select - {FREQUENCY}
hs_product_type enumeration/select - inventory,non_inventory,service
hs_status enumeration/select - active,inactive
""",
    "subscriptions": """
hs_name string/text
hs_status enumeration/select - active,past_due,canceled,expired,scheduled,paused
hs_recurring_billing_start_date date/date
hs_recurring_billing_end_date date/date
hs_recurring_billing_frequency enumeration/select - monthly,quarterly,annually
hs_last_payment_amount number/number
hs_last_payment_date datetime/date
hs_next_payment_amount number/number
hs_next_payment_due_date date/date
hs_currency_code enumeration/select - USD,EUR,GBP
hs_collection_process enumeration/select - automatic_payments,manual_payments
hs_invoice_creation enumeration/select - on,off
hs_net_payment_terms number/number
""",
    "tickets": """
subject string/text
content string/textarea
hs_pipeline enumeration/select
hs_pipeline_stage enumeration/select
hs_ticket_priority enumeration/select - LOW,MEDIUM,HIGH,URGENT
hs_ticket_category enumeration/checkbox - PRODUCT_ISSUE,BILLING_ISSUE,GENERAL_INQUIRY
closed_date datetime/date
source_type enumeration/select - CHAT,EMAIL,FORM,PHONE
""",
}


def standard_properties(kind: ObjectType, now: str) -> dict[str, Definition]:
    """HubSpot-defined properties of a type by name; `now` is their creation moment."""
    lines = EVERY_TYPE + OF_TYPE.get(kind.name, "")
    if kind.custom:
        lines = EVERY_TYPE
    lines += f"{kind.created} datetime/date ro\n{kind.modified} datetime/date ro\n"
    found: dict[str, Definition] = {}
    for order, line in enumerate(filter(None, map(str.strip, lines.splitlines()))):
        name, types, flags, options, *_ = [*line.split(" "), "-", ""]
        type_, field = types.split("/")
        marks = flags.split(",")
        found[name] = definition(
            {
                "name": name,
                "type": type_,
                "fieldType": field,
                "groupName": f"{kind.singular.replace('_', '')}information",
                "displayOrder": order,
                "hubspotDefined": True,
                "calculated": "calc" in marks,
                "hidden": "hidden" in marks,
                "hasUniqueValue": "uniq" in marks,
                "options": options.split(",") if options else [],
                **(
                    {"currencyPropertyName": _currency(kind)}
                    if "money" in marks
                    else {}
                ),
                **(
                    {"externalOptions": True, "referencedObjectType": "OWNER"}
                    if "owner" in marks
                    else {}
                ),
                "modificationMetadata": {
                    "archivable": False,
                    "readOnlyDefinition": True,
                    "readOnlyOptions": "ro" in marks or "calc" in marks,
                    "readOnlyValue": "ro" in marks or "calc" in marks,
                },
            },
            now,
        )
    return found


def definition(given: Definition, now: str) -> Definition:
    """A whole HubSpot property from what was given (at least `name`).

    `options` may be plain values or HubSpot's dicts.
    """
    name = given["name"]
    full: Definition = {
        "name": name,
        "label": " ".join(
            word.capitalize() for word in name.removeprefix("hs_").split("_")
        ),
        "type": "string",
        "fieldType": "text",
        "description": "",
        "groupName": "custom",
        "displayOrder": -1,
        "calculated": False,
        "externalOptions": False,
        "hasUniqueValue": False,
        "hidden": False,
        "hubspotDefined": False,
        "modificationMetadata": {
            "archivable": True,
            "readOnlyDefinition": False,
            "readOnlyOptions": False,
            "readOnlyValue": False,
        },
        "formField": True,
        "dataSensitivity": "non_sensitive",
        "archived": False,
        "createdAt": now,
        "updatedAt": now,
        **given,
    }
    full["options"] = [
        option(choice, order) for order, choice in enumerate(given.get("options") or [])
    ]
    return full


def option(choice: str | dict[str, Any], order: int) -> dict[str, Any]:
    given = {"value": choice} if isinstance(choice, str) else choice
    label = given["value"].replace("_", " ").title()
    return {"label": label, "displayOrder": order, "hidden": False, **given}


def read_only(given: Definition) -> bool:
    return bool(given["modificationMetadata"]["readOnlyValue"])


def _currency(kind: ObjectType) -> str:
    return {
        "deals": "deal_currency_code",
        "line_items": "hs_line_item_currency_code",
    }.get(kind.name, "hs_home_currency_code")

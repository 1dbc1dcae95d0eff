"""Contact properties and values that break loaders: names, types, characters, sizes.

HubSpot's own interface would refuse a few of these names, yet imports, integrations
and old portals have them; a loader that survives these survives the rest.
"""

from __future__ import annotations

from typing import Any

LONG_NAME = (
    "consent_to_be_contacted_about_products_and_services_of_group_companies_2024"
)
LONG_NAME_TWIN = LONG_NAME + "_v2"  # the same in the first 63 characters
LONGEST_TEXT = 65_000

# (name, type, fieldType, options)
DEFINITIONS: tuple[tuple[str, str, str, str], ...] = (
    ("Foo-Bar", "string", "text", ""),  # the same as the next when normalised
    ("foo_bar", "string", "text", ""),
    ("FOO_BAR", "string", "text", ""),
    ("2fa_enabled", "bool", "booleancheckbox", ""),
    ("100_percent", "number", "number", ""),
    ("select", "string", "text", ""),
    ("order", "number", "number", ""),
    ("group", "string", "text", ""),
    ("user", "string", "text", ""),
    ("from", "date", "date", ""),
    ("id", "string", "text", ""),
    ("_state", "string", "text", ""),
    ("_dlt_load_id", "string", "text", ""),
    ("_leading_underscore", "string", "text", ""),
    ("trailing_underscore_", "string", "text", ""),
    ("double__underscore", "string", "text", ""),
    ("CamelCase", "string", "text", ""),
    ("With Space", "string", "text", ""),
    ("with.dot", "string", "text", ""),
    ('with"quote', "string", "text", ""),
    ("with'apostrophe", "string", "text", ""),
    ("with%percent", "string", "text", ""),
    ("with:colon", "string", "text", ""),
    ("grösse_in_m²", "number", "number", ""),
    ("日本語", "string", "text", ""),
    ("🚀", "string", "text", ""),
    (LONG_NAME, "bool", "booleancheckbox", ""),
    (LONG_NAME_TWIN, "bool", "booleancheckbox", ""),
    ("essay", "string", "textarea", ""),
    ("html_signature", "string", "html", ""),
    ("interests", "enumeration", "checkbox", "Red;wine,red,Blue,blue,a b"),
    ("shirt_size", "enumeration", "select", "S,M,L,XL,s,m"),
    ("lifetime_value", "number", "number", ""),
    ("big_number", "number", "number", ""),
    ("birthday", "date", "date", ""),
    ("last_seen_at", "datetime", "date", ""),
    ("newsletter", "bool", "booleancheckbox", ""),
    ("geo", "object_coordinates", "text", ""),
    ("raw_payload", "json", "textarea", ""),
)

VALUES: tuple[tuple[str, str], ...] = (
    ("Foo-Bar", "hyphen"),
    ("foo_bar", "underscore"),
    ("FOO_BAR", "shouting"),
    ("2fa_enabled", "true"),
    ("2fa_enabled", "yes please"),
    ("100_percent", "99.999999999999999999"),
    ("select", "'; drop table contacts; --"),
    ("order", "-0"),
    ("group", ""),
    ("user", "NULL"),
    ("user", "null"),
    ("from", "2024-02-29"),
    ("from", "29.02.2024"),
    ("id", "not the record id"),
    ("_state", "archived"),
    ("_dlt_load_id", "1"),
    ("_leading_underscore", "_"),
    ("trailing_underscore_", " padded "),
    ("double__underscore", "__"),
    ("CamelCase", "İstanbul ẞ ß ﬃ"),
    ("With Space", "\u00a0\u2003\u200b"),
    ("with.dot", "a\\nb\\"),
    ('with"quote', '"quoted"'),
    ("with'apostrophe", "O'Neill"),
    ("with%percent", "100% %s {0} ${HOME}"),
    ("with:colon", ":name ?1 $1"),
    ("grösse_in_m²", "12,5"),
    ("日本語", "東京都\u3000港区"),
    ("🚀", "👩‍👩‍👧‍👦 🇩🇪 \U0001f600"),
    (LONG_NAME, "true"),
    (LONG_NAME_TWIN, "false"),
    ("essay", "ä😀\n" + "x" * (LONGEST_TEXT - 3)),
    ("essay", "tab\there\r\nbell\x07 escape\x1b[31m del\x7f unit\x1f \ufeff\ufffe"),
    ("essay", "right\u202eleft e\u0301 \u00e9 line\u2028separator"),
    ("html_signature", "<p onclick=\"alert('x')\">Hi &amp; bye<br/></p><!-- -->"),
    ("interests", "red;Blue;a b"),
    ("interests", ";red;;blue;"),
    ("interests", "option that was deleted"),
    ("shirt_size", "s"),
    ("shirt_size", "S"),
    ("lifetime_value", "1.5E7"),
    ("lifetime_value", "1e400"),
    ("lifetime_value", "12.340000"),
    ("lifetime_value", "twelve"),
    ("lifetime_value", "NaN"),
    ("lifetime_value", ""),
    ("big_number", "9007199254740993"),
    ("big_number", "123456789012345678901234567890.123456789"),
    ("big_number", "007"),
    ("birthday", "1582-10-04"),
    ("birthday", "0001-01-01"),
    ("birthday", "9999-12-31"),
    ("birthday", "31/12/1999"),
    ("birthday", "-62135596800000"),
    ("last_seen_at", "2024-03-10T02:30:00Z"),
    ("last_seen_at", "1714521600000"),
    ("last_seen_at", "2024-12-31T23:59:60.000Z"),
    ("newsletter", "false"),
    ("newsletter", "TRUE"),
    ("geo", '{"latitude":52.5,"longitude":13.4}'),
    ("raw_payload", '{"a":[1,2,{"b":null}]}'),
    ("raw_payload", "{broken"),
)


def definitions() -> list[dict[str, Any]]:
    """The definitions, ready for `Portal.add_property`."""
    return [
        {
            "name": name,
            "type": type_,
            "fieldType": field,
            "groupName": "custom",
            "label": name.strip("_").replace("_", " ").capitalize(),
            "description": f'Awkward on purpose; it\'s a "{type_}".',
            "options": options.split(",") if options else [],
        }
        for name, type_, field, options in DEFINITIONS
    ]

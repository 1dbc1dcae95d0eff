"""The page in a real browser: what people see, and what an attacker does not get.

The content does not depend on the engine (test_report.py), so the page of one will do.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from pipelines import report
from pipelines.report import page as rendering
from pipelines.warehouse import Warehouse
from tests.report.conftest import HOSTILE, STAGE, STATUS, Story

READY = "body[data-ready]"
SIZES = [(1440, 900), (390, 844)]
MEGABYTE = 1_000_000

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def file(duckdb_story: Story) -> Path:
    """The page of the story."""
    return duckdb_story.page.with_name("page.html")


@pytest.fixture
def opened(browser: Browser, file: Path) -> Iterator[Open]:
    """Open a page from disk; `page.told` is what the console said, `page.asked` what
    was asked of any network."""
    contexts = []

    def open_(path: Path = file, ready: bool = True, **settings: Any) -> Page:
        size = settings.pop("size", SIZES[0])
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            timezone_id="America/New_York",
            locale="en-GB",
            **settings,
        )
        contexts.append(context)
        page = context.new_page()
        page.told, page.asked = [], []  # type: ignore[attr-defined]
        page.on("console", lambda message: page.told.append(message.text))
        page.on("pageerror", lambda error: page.told.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(path.as_uri())
        if ready:
            page.wait_for_selector(READY)
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_renders_without_a_word_in_the_console(
    opened: Open, file: Path, size: tuple[int, int], scheme: str
) -> None:
    page = opened(size=size, color_scheme=scheme)
    assert page.told == []
    assert page.asked == [file.as_uri()], "one file, and no network"
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= size[0], "it never scrolls sideways"
    assert page.locator(".chart canvas").count() == 4
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = int(re.findall(r"\d+", ground)[0])
    assert (brightness < 60) is (scheme == "dark")


def test_nothing_sticks_out_when_every_list_is_open(opened: Open) -> None:
    page = opened(size=SIZES[1])
    for button in page.locator(".more").all():
        button.evaluate("button => button.click()")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[1][0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_no_barrier(
    opened: Open, duckdb_story: Story, size: tuple[int, int], scheme: str
) -> None:
    page = opened(size=size, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.locator("#query").fill(next(iter(duckdb_story.churned)))
    expect(page.locator("#answer h3")).to_be_visible()
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


def test_the_sentence_that_matters_is_first(opened: Open) -> None:
    page = opened()
    told = page.locator("h1").inner_text()
    assert told.startswith("Everything is in step · 7 changes wait for you · ")
    assert "in HubSpot need" in told
    assert page.title().startswith("hubsync: Everything is in step · 7 changes")
    page.locator("h1 a", has_text="wait for you").click()
    expect(page.locator("#waiting")).to_be_in_viewport()


def test_hostile_names_are_text_in_companies_stages_and_findings(
    opened: Open, duckdb_story: Story
) -> None:
    page = opened()
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    held = page.locator("#waiting .who").all_text_contents()
    assert set(HOSTILE) <= set(held)
    assert any(
        STAGE in text for text in page.locator("#access .fact").all_inner_texts()
    )
    assert any(
        STATUS in text
        for text in page.locator("#fix li, #fix .common").all_inner_texts()
    )
    for id, name in duckdb_story.churned.items():
        page.locator("#query").fill(id)
        assert page.locator("#answer h3").text_content() == name
    page.locator("#query").fill(duckdb_story.won)
    assert STAGE in page.locator("#answer").inner_text()
    assert page.evaluate("document.body.dataset.pwned") is None
    assert page.locator("main img, main b b, main script").count() == 0
    assert page.told == []


def test_what_show_all_adds_is_text_too(
    opened: Open,
    duckdb_story: Story,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rendering, "_SHOWN", 1)
    duckdb_story.write(tmp_path / "page.html")
    page = opened(tmp_path / "page.html")
    assert page.locator("#waiting .who").count() == 1
    page.locator("#waiting .more").click()
    assert set(HOSTILE) <= set(page.locator("#waiting .who").all_text_contents())
    assert page.evaluate("document.body.dataset.pwned") is None
    assert page.told == []


@pytest.mark.parametrize(
    "injected",
    [
        "<script>document.body.dataset.pwned = 'yes'</script>",
        "<img src='data:x' onerror=\"document.body.dataset.pwned = 'yes'\">",
        "<script src='data:text/javascript,document.body.dataset.pwned=1'></script>",
        "<iframe srcdoc=\"<script>parent.document.body.dataset.pwned='yes'</script>\">"
        "</iframe>",
        "<style>h1 { display: none }</style>",
        "<img src='https://example.com/x.png'>",
    ],
)
def test_the_policy_blocks_what_was_injected(
    opened: Open, file: Path, tmp_path: Path, injected: str
) -> None:
    """As if the template had forgotten to escape a name."""
    html = file.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(html.replace("<h2", f"{injected}<h2", 1), encoding="utf-8")
    page = opened(broken)  # and our own script still runs
    page.wait_for_timeout(100)
    assert page.evaluate("document.body.dataset.pwned") is None
    assert page.locator("h1").is_visible()
    if "data:x" not in injected:
        assert any("Content Security Policy" in text for text in page.told), page.told


def test_the_injections_work_where_there_is_no_policy(
    opened: Open, file: Path, tmp_path: Path
) -> None:
    """Or the test above could not fail."""
    html = file.read_text(encoding="utf-8")
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    injected = "<script>document.body.dataset.pwned = 'yes'</script>"
    open_door = tmp_path / "open.html"
    open_door.write_text(html.replace("<h2", f"{injected}<h2", 1), encoding="utf-8")
    assert opened(open_door).evaluate("document.body.dataset.pwned") == "yes"


def test_the_search_answers_why(opened: Open, duckdb_story: Story) -> None:
    page = opened()
    query, answer = page.locator("#query"), page.locator("#answer")
    ((domain, url),) = duckdb_story.rows(
        "select domain, hubspot_url from app.customers where customer_id = ?",
        duckdb_story.won,
    )
    query.fill(str(domain).upper())
    expect(answer).to_contain_text("Has access at level starter")
    expect(answer).to_contain_text("A subscription is in force.")
    expect(answer).to_contain_text("by HubSpot user")
    expect(answer).to_contain_text("gained access (none → starter)")
    links = [link.get_attribute("href") for link in answer.locator("a.out").all()]
    assert url in links
    assert any(str(link).endswith(f"/record/0-3/{duckdb_story.deal}") for link in links)

    held = next(iter(duckdb_story.churned))
    query.fill(held)
    expect(answer).to_contain_text("would lose access, held for a person")
    expect(answer).to_contain_text("): in the first publication")
    lost = next(iter(duckdb_story.lost))
    query.fill(lost)
    expect(answer).to_contain_text("Has no access")
    expect(answer).to_contain_text("lost access (team → none): Our own signal")
    query.fill(duckdb_story.merged[1])
    expect(answer).to_contain_text(duckdb_story.merged[0])
    query.fill("unicorn")  # typed without its diacritics
    expect(answer.locator("h3")).to_have_text(HOSTILE[4])
    query.fill("no such customer")
    expect(page.locator("#matches")).to_contain_text("No customer has this name")
    expect(answer).to_be_hidden()


def test_several_matches_are_a_list_and_a_name_anywhere_answers(
    opened: Open, duckdb_story: Story
) -> None:
    page = opened()
    page.locator("#query").fill("e")
    expect(page.locator("#found a")).to_have_count(8)
    expect(page.locator("#matches")).to_contain_text("the first 8")
    name = page.locator("#found .name").first.inner_text()
    page.locator("#found a").first.click()
    expect(page.locator("#answer h3")).to_have_text(name)
    page.locator("#access .period:visible .who").first.click()
    assert page.url.endswith(f"#why-{duckdb_story.won}")
    expect(page.locator("#answer")).to_be_in_viewport()
    again = page.url
    page.goto("about:blank")
    page.goto(again)  # the address can be sent to a colleague
    expect(page.locator("#answer")).to_contain_text(duckdb_story.won)


def test_the_keyboard_is_enough(opened: Open, duckdb_story: Story) -> None:
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "query":
            break
    page.keyboard.type(duckdb_story.won)
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_be_focused()
    page.locator("#period-today").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator('[data-period="week"]')).to_be_visible()
    expect(page.locator('[data-period="today"]')).to_be_hidden()
    page.locator("#health summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#health .scroll table")).to_be_visible()


def test_every_link_leads_into_hubspot_or_to_a_place_of_the_page(
    opened: Open, duckdb_story: Story
) -> None:
    page = opened()
    ((base,),) = duckdb_story.rows(
        "select url_base from intermediate.int_record_urls "
        "where object_type = 'companies'"
    )
    portal = str(base).split("/record/")[0]
    out = page.locator("a.out")
    assert out.count() > 10
    for link in out.all():
        assert str(link.get_attribute("href")).startswith(f"{portal}/record/")
        assert link.get_attribute("rel") == "noopener noreferrer"
    for link in page.locator("a:not(.out)").all():
        target = str(link.get_attribute("href"))
        assert target.startswith("#")
        if not target.startswith("#why-"):
            assert page.locator(target).count() == 1


def test_the_commands_can_be_copied(opened: Open) -> None:
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    shown = page.locator(".command code").first.inner_text()
    page.locator(".copy").first.click()
    expect(page.locator(".copy").first).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == shown
    assert re.fullmatch(
        r'hubsync approve [0-9a-f]{32} --by "YOUR NAME" --reason "WHY"', shown
    )


def test_times_are_those_of_the_reader(opened: Open, duckdb_story: Story) -> None:
    page = opened()
    told = page.locator("#health time").first
    moment = str(told.get_attribute("datetime"))
    shown = page.evaluate(
        "m => new Intl.DateTimeFormat('en-GB', {hour: '2-digit', minute: '2-digit', "
        "timeZone: 'America/New_York'}).format(new Date(m))",
        moment,
    )
    assert told.inner_text().endswith(shown)
    assert shown != moment[11:16]


def test_an_old_page_says_that_it_is_old(opened: Open, file: Path) -> None:
    page = opened(ready=False)
    expect(page.locator("#old")).to_be_hidden()
    written = str(page.locator("body").get_attribute("data-written"))
    page.clock.install(time=written.replace("Z", "+00:00"))
    page.reload()
    page.wait_for_selector(READY)
    expect(page.locator("#old")).to_be_hidden()
    page.clock.fast_forward("03:05:00")
    expect(page.locator("#old")).to_contain_text("This page is 3 hours old")


def test_without_scripts_everything_but_the_search_is_there(
    opened: Open, duckdb_story: Story
) -> None:
    """A phone's preview of a file runs none."""
    page = opened(ready=False, java_script_enabled=False)
    expect(page.locator("h1")).to_contain_text("7 changes wait for you")
    assert page.locator("#waiting li").count() == 7
    assert " UTC" in page.locator("#health time").first.inner_text()
    expect(page.locator("#search noscript p")).to_be_visible()


# -- a large portal

CUSTOMERS = 20_000


@pytest.fixture(scope="module")
def large(
    duckdb_story: Story, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, float]:
    """The page of 20,000 customers, every tenth of whom has a finding, and the seconds
    it took. Rows like those of the story: a sync of so many would take minutes."""
    folder = tmp_path_factory.mktemp("large")
    duckdb_story.rows("checkpoint")
    database = folder / "hubsync.duckdb"
    shutil.copy(duckdb_story.environment["HUBSYNC_DUCKDB"], database)
    warehouse = Warehouse("duckdb", path=database)
    with warehouse.connect() as connection:
        connection.execute(f"create temp table numbers as from range({CUSTOMERS}) t(n)")
        for table, columns in {
            "app.customers": "customer_id := '7' || (100000000 + n), "
            "name := 'Company ' || md5(n::text), domain := md5('d' || n) || '.example'",
            "app.access": "customer_id := '7' || (100000000 + n), "
            "effective_at := now() - to_hours(n), access_until := now() + to_hours(n)",
            "app.access_events": "customer_id := '7' || (100000000 + n), "
            "event_id := 1000000 + n, occurred_at := now() - to_minutes(n * 3)",
            "ops.findings": "finding_id := md5('f' || n), "
            "object_id := '7' || (100000000 + n * 10), "
            "customer_id := '7' || (100000000 + n * 10)",
        }.items():
            given = dict(re.findall(r"(\w+) := (.+?)(?:, (?=\w+ :=)|$)", columns))
            names = [
                str(row[0])
                for row in connection.execute(
                    "select column_name from information_schema.columns where "
                    "table_schema || '.' || table_name = ? order by ordinal_position",
                    (table,),
                )
            ]
            values = ", ".join(given.get(name, f"one.{name}") for name in names)
            many = f"numbers where n < {CUSTOMERS // 10}"
            source = many if table == "ops.findings" else "numbers"
            one = {
                "app.customers": f"customer_id = '{duckdb_story.won}'",
                "app.access": f"customer_id = '{duckdb_story.won}'",
                "app.access_events": f"customer_id = '{duckdb_story.won}' "
                "order by event_id desc limit 1",
                "ops.findings": "object_type = 'companies' and object_id is not null "
                "limit 1",
            }[table]
            connection.execute(
                f"insert into {table} select {values} from "
                f"(select * from {table} where {one}) as one cross join {source}"
            )
    begin = time.monotonic()
    report.write(warehouse, folder / "page.html")
    return folder / "page.html", time.monotonic() - begin


def test_20_000_customers_are_under_3_megabytes(large: tuple[Path, float]) -> None:
    path, seconds = large
    assert path.stat().st_size < 3 * MEGABYTE
    # 3 s on two cores; what must not come is something that grows with the square.
    assert seconds < 30


def test_a_large_page_is_quick_to_open_and_to_search(
    opened: Open, large: tuple[Path, float]
) -> None:
    path, _ = large
    begin = time.monotonic()
    page = opened(path)
    assert time.monotonic() - begin < 10
    assert page.told == []
    # Lists are short until somebody asks for more.
    assert page.locator("#fix li").count() < 100
    took = page.evaluate(
        """() => {
          const query = document.querySelector("#query");
          query.value = "Company a";
          const begin = performance.now();
          query.dispatchEvent(new Event("input"));
          return performance.now() - begin;
        }"""
    )
    assert took < 500, f"{took} ms"
    expect(page.locator("#found a")).to_have_count(8)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    more = page.locator("#fix .more", has_text="Show 1,000 of 2,0").first
    more.click()
    assert page.locator("#fix li").count() >= 1_000
    # The keyboard goes on where the list went on.
    assert page.evaluate("document.activeElement.closest('li') !== null")
    assert page.told == []

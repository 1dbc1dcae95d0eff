"use strict";
// What needs a script: times in the reader's own zone, the age of the page, the rest of
// long lists, the search, and the charts. Every text goes in as text; the only markup
// that is put in is what the template rendered and escaped.
(async () => {
  const $ = (id) => document.getElementById(id);
  const make = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children.filter((child) => child !== null && child !== ""));
    return made;
  };

  // Times

  const full = new Intl.DateTimeFormat("en-GB", {
    day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
  });
  const short = new Intl.DateTimeFormat("en-GB", {
    day: "numeric", month: "short", hour: "2-digit", minute: "2-digit",
  });
  const instant = (epoch) => {
    const moment = new Date(epoch * 1000);
    const near = Math.abs(Date.now() - moment) < 180 * 86400e3;
    return make(
      "time",
      { datetime: moment.toISOString(), title: moment.toUTCString() },
      (near ? short : full).format(moment),
    );
  };
  const localise = (root) => {
    for (const time of root.querySelectorAll("time")) {
      const local = instant(Date.parse(time.dateTime) / 1000);
      time.textContent = local.textContent;
      time.title = local.title;
    }
  };
  const ago = (minutes) => {
    const [count, unit] =
      minutes < 90 ? [minutes, "minute"] : minutes < 2880 ? [minutes / 60, "hour"]
      : [minutes / 1440, "day"];
    const whole = Math.round(count);
    return `${whole} ${unit}${whole === 1 ? "" : "s"}`;
  };
  const age = () => {
    const written = Date.parse(document.body.dataset.written);
    const minutes = (Date.now() - written) / 60e3;
    $("age").textContent = minutes < 1 ? ", just now" : `, ${ago(minutes)} ago`;
    const old = minutes > Number(document.body.dataset.staleMinutes);
    $("old").hidden = !old;
    if (old) {
      $("old").textContent = `This page is ${ago(minutes)} old, so what it says may no ` +
        "longer be true: reload it, and if it stays old, no sync has run since.";
    }
  };
  localise(document);
  age();
  setInterval(age, 30e3);

  // Commands to copy

  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  // Data

  const unpack = async () => {
    const bytes = Uint8Array.from(atob($("data").textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  };
  let data;
  try {
    data = await unpack();
  } catch {
    $("matches").textContent = "This browser is too old for the search, the charts and " +
      "the rest of long lists; everything else is here.";
    return;
  }

  for (const button of document.querySelectorAll(".more")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const list = $(`list-${button.dataset.list}`);
      const before = list.children.length;
      list.insertAdjacentHTML("beforeend", data.more[button.dataset.list]);
      localise(list);
      button.remove();
      list.children[before].querySelector("a")?.focus();
    });
  }

  // Search

  const of = data.customers;
  const fold = (text) =>
    (text ?? "").normalize("NFKD").replace(/[\p{M}\p{Cf}]/gu, "").toLowerCase();
  const names = of.name.map(fold);
  const domains = of.domain.map(fold);
  const places = new Map(of.id.map((id, at) => [id, at]));
  for (const [alias, at] of Object.entries(of.aliases)) places.set(alias, at);
  const changes = new Map();
  of.changes.of.forEach((at, change) => {
    changes.set(at, [...(changes.get(at) ?? []), change]);
  });

  const enabled = (at) =>
    Boolean(of.on[at]) && (of.until[at] === null || of.until[at] * 1000 > Date.now());
  const search = (asked) => {
    const wanted = fold(asked.trim());
    if (!wanted) return [];
    if (places.has(wanted)) return [places.get(wanted)];
    const ranked = [[], [], [], []];
    for (let at = 0; at < names.length; at += 1) {
      const name = names[at];
      const rank =
        name === wanted || domains[at] === wanted ? 0
        : name.startsWith(wanted) || domains[at].startsWith(wanted) ? 1
        : name.includes(` ${wanted}`) ? 2
        : name.includes(wanted) || domains[at].includes(wanted) || of.id[at].startsWith(wanted) ? 3
        : -1;
      if (rank >= 0) ranked[rank].push(at);
    }
    return ranked.flat();
  };
  const title = (at) => of.name[at] || `Customer ${of.id[at]}`;
  const badge = (at) =>
    make("span", { class: `tag ${enabled(at) ? "gained" : "lost"}` },
      enabled(at) ? "has access" : "no access");
  const out = (url, text) =>
    make("a", { class: "out", href: url, target: "_blank", rel: "noopener noreferrer" }, text,
      make("span", { class: "unseen" }, " in HubSpot, opens a new tab"));
  const told = (code) => of.reasons[code] ?? code ?? "";

  const answer = (at) => {
    const on = enabled(at);
    const over = of.on[at] && !on;
    const facts = make("dl");
    const fact = (name, ...values) =>
      facts.append(make("dt", {}, name), make("dd", {}, ...values));
    const url = (type, id) => (of.urls[type] ? out(of.urls[type] + id, of.types[type] ?? type) : "");
    if (of.fact[at] !== null) {
      const when = of.factAt[at] === null ? [] :
        [make("span", { class: "quiet" },
          of.factSet[at] ? " · set " : " · record last changed ", instant(of.factAt[at]),
          of.factBy[at] ? ` by HubSpot user ${of.factBy[at]}` : ""), " "];
      fact("Because", make("bdi", {}, of.fact[at]), ...when, url(of.factType[at], of.factId[at]));
    }
    if (of.since[at] !== null) fact("Since", instant(of.since[at]));
    if (of.until[at] !== null) fact(over ? "Ended" : "Until", instant(of.until[at]));
    if (of.waits[at]) {
      fact("Waiting", make("a", { href: "#waiting" }, `${of.waits[at]}, held for a person`));
    }
    if (of.state[at] !== "live") fact("In HubSpot", `the company is ${of.state[at]}`);
    const parts = [
      make("h3", {}, make("bdi", {}, title(at))),
      make("p", { class: "verdict" },
        make("b", on ? {} : { class: "off" }, on ? "Has access" : "Has no access"),
        on ? ` at level ${of.level[at]}. ` : ". ",
        over ? "It ended by its date; until then: " : "",
        of.decided[at] ? `${told(of.reason[at])}.` : "The next sync decides."),
      facts,
      make("p", {},
        make("span", { class: "quiet" }, make("bdi", {}, of.domain[at] ?? ""), ` · ${of.id[at]} `),
        url("companies", of.id[at])),
    ];
    const list = make("ol");
    const entry = (moment, was, is, from, to, ...why) => {
      const what = was === is
        ? (is ? "other level" : "became a customer, without access")
        : is ? "gained access" : "lost access";
      const levels = from === to ? "" : ` (${from} → ${to})`;
      list.append(make("li", {},
        make("span", { class: "quiet" }, instant(moment), " "), `${what}${levels}: `, ...why));
    };
    const c = of.changes;
    for (const change of changes.get(at) ?? []) {
      entry(c.at[change], c.was[change], c.is[change], c.from[change] ?? "none", c.to[change],
        told(c.reason[change]),
        c.by[change] ? make("span", { class: "quiet" }, " · approved by ", make("bdi", {}, c.by[change])) : "");
    }
    // Its access is as it was then, or its changes would be listed.
    if (!changes.has(at) && of.changed[at]) {
      entry(of.began, 0, of.on[at], "none", of.level[at], "in the first publication");
    }
    if (list.children.length) parts.push(make("p", { class: "quiet" }, "Last changes of access"), list);
    $("answer").replaceChildren(...parts);
    $("answer").hidden = false;
  };

  const SHOWN = 8;
  const query = $("query");
  const look = () => {
    const found = search(query.value);
    $("found").replaceChildren();
    $("answer").hidden = true;
    if (!query.value.trim()) {
      $("matches").textContent = "";
    } else if (!found.length) {
      $("matches").textContent = "No customer has this name, domain or id. A company becomes a " +
        "customer when it has a subscription or a customer lifecycle stage.";
    } else if (found.length === 1) {
      $("matches").textContent = "1 customer";
      answer(found[0]);
    } else {
      const shown = Math.min(found.length, SHOWN);
      $("matches").textContent = found.length > shown
        ? `${found.length.toLocaleString("en")} customers; the first ${shown}:` : `${found.length} customers:`;
      for (const at of found.slice(0, SHOWN)) {
        $("found").append(make("li", {}, make("a", { href: `#why-${of.id[at]}` },
          make("span", { class: "name" }, make("bdi", {}, title(at))),
          make("span", { class: "quiet" }, make("bdi", {}, of.domain[at] ?? of.id[at])), badge(at))));
      }
    }
  };
  const follow = () => {
    if (!location.hash.startsWith("#why-")) return;
    const at = places.get(location.hash.slice(5));
    if (at === undefined) return;
    $("found").replaceChildren();
    $("matches").textContent = "";
    answer(at);
    $("search").scrollIntoView();
    $("answer").focus({ preventScroll: true });
  };
  query.disabled = false;
  query.addEventListener("input", look);
  query.form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [first] = search(query.value);
    if (first !== undefined) location.hash = `#why-${of.id[first]}`;
    follow();
  });
  window.addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    // The same customer again: the address does not change, so nobody would be told.
    const link = event.target.closest?.('a[href^="#why-"]');
    if (link && link.getAttribute("href") === location.hash) follow();
  });
  follow();

  // Charts

  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const number = (value) =>
    value === null || value === undefined ? "–" : Math.abs(value).toLocaleString("en");
  let drawn = [];
  const draw = () => {
    for (const chart of drawn) chart.destroy();
    drawn = [];
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const bars = uPlot.paths.bars({ size: [0.7, 28], radius: 0.15 });
    const chart = (id, xs, series, label, summary) => {
      const place = $(id);
      place.replaceChildren();
      if (!series.some((each) => each.values.some((value) => value))) {
        place.append(make("p", { class: "calm" }, "Nothing to show yet."));
        return;
      }
      const axis = { stroke: color("quiet"), font, grid: { stroke: color("grid"), width: 1 }, ticks: { show: false } };
      const half = xs.length > 1 ? (xs.at(-1) - xs[0]) / (xs.length - 1) / 2 : 43200;
      drawn.push(new uPlot({
        width: place.clientWidth,
        height: 160,
        padding: [null, 24, 0, 0],
        scales: {
          x: { time: false, range: [xs[0] - half, xs.at(-1) + half] },
          y: { range: (_, low, high) => [Math.min(0, low * 1.15), Math.max(high * 1.15, low < 0 ? 0.4 : 1)] },
        },
        cursor: { y: false, drag: { x: false, y: false } },
        axes: [
          { ...axis, size: 30, grid: { show: false }, splits: (u) => {
            // At values that are there, as many as their labels have room for.
            const step = Math.ceil(xs.length / Math.max(1, Math.floor(u.width / 80)));
            return xs.filter((_, at) => (xs.length - 1 - at) % step === 0);
          }, values: (_, splits) => splits.map((x) => label(x)) },
          { ...axis, size: 52, values: (_, splits) => splits.map((y) => (Number.isInteger(y) ? number(y) : "")) },
        ],
        series: [
          { label: "at", value: (_, x) => (x === null ? "" : label(xs.reduce((a, b) => Math.abs(b - x) < Math.abs(a - x) ? b : a))) },
          ...series.map((each) => ({
            label: each.label,
            stroke: color(each.color),
            fill: each.bars ? color(each.color) : undefined,
            width: each.bars ? 0 : 2,
            paths: each.bars ? bars : each.dots ? () => null : undefined,
            points: { show: !each.bars, size: 6, fill: color(each.color) },
            spanGaps: true,
            value: (_, y) => number(y),
          })),
        ],
      }, [xs, ...series.map((each) => each.values)], place));
      place.setAttribute("role", "img");
      place.setAttribute("aria-label", summary);
    };
    const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);
    const c = data.charts;
    const byDay = (x) => day.format(new Date(x * 1000));
    const span = `${c.days.length} days`;
    chart("chart-access", c.days, [
      { label: "gained", values: c.gained, color: "good", bars: true },
      { label: "lost", values: c.lost.map((value) => -value), color: "bad", bars: true },
    ], byDay, `In ${span}, ${sum(c.gained)} gained and ${sum(c.lost)} lost access.`);
    chart("chart-latency", c.days, [
      { label: "median", values: c.median, color: "accent" },
      { label: "slowest", values: c.slowest, color: "wait", dots: true },
    ], byDay, `Median seconds from edit to effect on each of ${span}: ` +
      `${c.median.filter((value) => value !== null).join(", ") || "none"}.`);
    chart("chart-calls", c.days, [{ label: "calls", values: c.calls, color: "accent", bars: true }],
      byDay, `In ${span}, ${number(sum(c.calls))} API calls.`);
    chart("chart-runs", c.runs.map((_, at) => at), [
      { label: "done", values: c.seconds, color: "accent", dots: true },
      { label: "failed", values: c.failed, color: "bad", dots: true },
    ], (at) => (c.runs.at(-1) - c.runs[0] > 86400 ? date : clock).format(new Date(c.runs[at] * 1000)),
      `The last ${c.runs.length} syncs took ${c.seconds.filter((value) => value !== null).join(", ")} seconds.`);
  };
  draw();
  let resized;
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return; // a phone's address bar coming and going
    width = window.innerWidth;
    clearTimeout(resized);
    resized = setTimeout(draw, 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  document.body.dataset.ready = "yes";
})();

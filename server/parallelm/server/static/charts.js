// Draws charts with ECharts from JSON of the server: {option, summary, …}. See parallelm/server/charts/__init__.py.
"use strict";

const drawn = new Map(); // element -> {chart, answer}
let echartsLoading = null;

function loadEcharts() {
  echartsLoading ||= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.documentElement.dataset.echarts;
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => reject(new Error("ECharts is not there")));
    document.head.append(script);
  });
  return echartsLoading;
}

/* ---- From the server's option to ECharts ---- */

// Colours stand in the option as var(--name): the style sheet knows them, for each theme.
function coloursOf(element) {
  const known = new Map();
  const probe = document.createElement("i");
  probe.hidden = true;
  element.append(probe);
  const resolve = (name) => {
    if (!known.has(name)) {
      probe.style.color = name;
      known.set(name, getComputedStyle(probe).color);
    }
    return known.get(name);
  };
  return { resolve, done: () => probe.remove() };
}

function resolved(value, colour) {
  if (typeof value === "string") return value.startsWith("var(--") ? colour(value) : value;
  if (Array.isArray(value)) return value.length && typeof value[0] === "number" ? value : value.map((each) => resolved(each, colour));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, FUNCTIONS[name] && FUNCTIONS[name][each] || resolved(each, colour)]));
  }
  return value;
}

// Five digits; 54.8 G rather than 5.480e+10, as bytes are read.
function shortNumber(value) {
  if (typeof value !== "number") return value ?? "";
  const size = Math.abs(value);
  if (size >= 1e7 && size < 1e18) {
    const power = Math.floor(Math.log10(size) / 3);
    return `${Number((value / 1000 ** power).toPrecision(5))} ${"kMGTP"[power - 1]}`;
  }
  if (value !== 0 && (size >= 1e18 || size < 1e-4)) return value.toExponential(3);
  return String(Number(value.toPrecision(5)));
}

// A bar from start to end in a lane, with its name where there is room: data are [lane, start, end], name and style of the item.
function drawLane(parameters, api) {
  const [left, middle] = api.coord([api.value(1), api.value(0)]);
  const right = api.coord([api.value(2), api.value(0)])[0];
  const high = Math.min(api.size([0, 1])[1] * 0.7, 22);
  const frame = parameters.coordSys;
  const from = Math.max(left, frame.x), to = Math.min(right, frame.x + frame.width);
  if (to < frame.x || from > frame.x + frame.width) return null;
  const shape = { x: from, y: middle - high / 2, width: Math.max(to - from, 4), height: high, r: 2 };
  const style = { fill: api.visual("color"), opacity: api.visual("opacity") ?? 1 };
  const text = { type: "text", ignore: to - from < 30, style: { text: String(api.value(3) ?? ""), x: from + 5, y: middle, fill: api.visual("borderColor"), width: to - from - 8, overflow: "truncate", verticalAlign: "middle", fontSize: 11 } };
  return { type: "group", children: [{ type: "rect", shape, style }, text] };
}

// Bars of unequal width, as histograms with numeric edges have: data are [low, high, height, opacity].
function drawBin(parameters, api) {
  const [x0, y0] = api.coord([api.value(0), api.value(2)]);
  const [x1, y1] = api.coord([api.value(1), 0]);
  const shape = { x: x0 + 0.5, y: y0, width: Math.max(x1 - x0 - 1, 1), height: y1 - y0 };
  return { type: "rect", shape, style: { fill: api.visual("color"), opacity: api.value(3) } };
}

// What an option names and JSON cannot hold: {key: {name: function}}.
const FUNCTIONS = {
  renderItem: { lanes: drawLane, bins: drawBin },
  valueFormatter: { short: shortNumber },
  formatter: { short: shortNumber, cell: (item) => shortNumber(item.value[2]) },
};

// What goes on in a lane has no end yet: it is drawn up to that of its axis.
function upToTheEnd(series, axes) {
  if (series.renderItem !== drawLane) return series;
  const max = axes[series.xAxisIndex].max ?? Date.now();
  const data = series.data.map((item) => {
    const [lane, start, end, text] = item.value;
    return { ...item, value: [lane, start, end ?? Math.max(start, max), text] };
  });
  return { ...series, data };
}

const NARROW = 560;

function dressed(answer, element) {
  const { resolve, done } = coloursOf(element);
  const option = resolved(answer.option, resolve);
  option.series = option.series?.map?.((each) => upToTheEnd(each, option.xAxis)) ?? option.series;
  const ink = resolve("var(--ink)"), muted = resolve("var(--muted)"), grid = resolve("var(--grid)"), outline = resolve("var(--outline)");
  const axis = { axisLine: { lineStyle: { color: outline } }, axisTick: { lineStyle: { color: outline } }, axisLabel: { color: muted }, splitLine: { lineStyle: { color: grid } }, nameTextStyle: { color: muted } };
  const theme = {
    color: [1, 2, 3, 4, 5, 6, 7, 8].map((number) => resolve(`var(--series-${number})`)),
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: ink },
    categoryAxis: axis, valueAxis: axis, timeAxis: axis, logAxis: axis,
    legend: { textStyle: { color: ink }, pageTextStyle: { color: muted }, pageIconColor: ink, pageIconInactiveColor: grid },
    tooltip: { renderMode: "richText", backgroundColor: resolve("var(--raised)"), borderColor: outline, textStyle: { color: ink, fontSize: 12 } },
    visualMap: { textStyle: { color: muted } },
    markPoint: { label: { color: ink } },
  };
  done();
  if (element.clientWidth < NARROW && option.series?.[0]?.type === "heatmap") {
    Object.assign(option.xAxis.axisLabel, { alignMinLabel: "left", alignMaxLabel: "right" }); // else the last one is cut off
  }
  if (element.clientWidth < NARROW && Array.isArray(option.grid)) {
    for (const each of option.grid) each.left = 92;
    for (const each of option.yAxis) if (each.type === "category") each.axisLabel.width = 84;
  }
  return { option: { animation: false, useUTC: true, ...option }, theme };
}

/* ---- One chart ---- */

function pointsOf(figure) {
  return Math.min(Math.max(figure.querySelector(".canvas").clientWidth, 200), 1000);
}

async function draw(figure, isUpdate = false) {
  const canvas = figure.querySelector(".canvas");
  figure.drawing?.abort();
  const running = (figure.drawing = new AbortController());
  figure.position = position;
  figure.stale = "";
  if (!isUpdate) canvas.setAttribute("aria-busy", "true");
  try {
    const address = new URL(figure.dataset.chartUrl, location.href);
    address.searchParams.set("points", pointsOf(figure));
    if (isUpdate) address.searchParams.delete("to"); // What has arrived lies behind it.
    const before = isUpdate && drawn.get(figure)?.answer;
    if (before && before.digests?.length) address.searchParams.set("known", knownOf(before));
    const [answer] = await Promise.all([fetchJson(address, { signal: running.signal }), loadEcharts()]);
    if (figure.drawing !== running || !figure.isConnected) return;
    complete(answer, before);
    show(figure, canvas, answer);
    offerTable(figure, answer.option && answer.has_table);
    tellNotes(figure, answer.notes);
  } catch (error) {
    if (error.name !== "AbortError" && figure.isConnected) say(figure, canvas, error.message);
  }
  if (figure.drawing !== running) return;
  canvas.removeAttribute("aria-busy");
  if (figure.stale) updateSoon(); // Something has arrived meanwhile.
}

function say(figure, canvas, text) {
  forget(figure);
  const message = document.createElement("p");
  message.className = "message";
  message.textContent = text;
  canvas.removeAttribute("role");
  canvas.replaceChildren(message);
}

function show(figure, canvas, answer) {
  if (!answer.option) {
    say(figure, canvas, answer.summary);
    if (answer.table) canvas.replaceChildren(tableOf(figure, answer.table));
    return;
  }
  forget(figure);
  canvas.replaceChildren();
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", answer.summary);
  if (answer.height) canvas.style.height = `${answer.height}px`;
  const { option, theme } = dressed(answer, canvas);
  const chart = window.echarts.init(canvas, theme, { renderer: "canvas" });
  chart.setOption(option);
  drawn.set(figure, { chart, answer });
  sizes.observe(canvas);
  if (answer.zoom) letZoom(chart, answer);
  chart.on("click", (event) => follow(figure, event.data && event.data.link));
}

function forget(figure) {
  const known = drawn.get(figure);
  if (!known) return;
  sizes.unobserve(known.chart.getDom());
  known.chart.dispose();
  drawn.delete(figure);
}

function follow(figure, link) {
  if (!link) return;
  if (!figure.dataset.target) location.assign(link);
  else window.htmx.ajax("GET", link, { target: figure.dataset.target, swap: "innerHTML" });
}

// Dragging over a chart asks for the page again with that time range: every part of it follows, and "Back" zooms out.
function letZoom(chart, answer) {
  chart.dispatchAction({ type: "takeGlobalCursor", key: "dataZoomSelect", dataZoomSelectActive: true });
  chart.on("datazoom", (event) => {
    const chosen = event.batch && event.batch.find((each) => each.startValue !== undefined);
    if (!chosen || chosen.endValue - chosen.startValue < 2) return;
    const utc = (wall) => new Date(utcOfWall(answer.zone || "UTC", Math.round(wall))).toISOString();
    const address = new URL(location.href);
    address.searchParams.set("from", utc(chosen.startValue));
    address.searchParams.set("to", utc(chosen.endValue));
    location.assign(address);
  });
}

function tellNotes(figure, notes) {
  figure.querySelector(":scope > .notes")?.remove();
  if (!notes || !notes.length) return;
  const words = document.createElement("p");
  words.className = "notes quiet small";
  words.textContent = `${notes.join(". ")}.`;
  figure.append(words);
}

/* ---- What has arrived since ---- */

// Up to where the page, and each of its figures, shows what has arrived: see live/changes.py.
let position = Number(page.dataset.position || 0);
let updating = null; // A timer, or true while the server is asked.
let updatedAt = 0;
const EACH_S = 10;

function inSight(figure) {
  const place = figure.getBoundingClientRect();
  return !document.hidden && place.bottom > 0 && place.top < innerHeight;
}

// All charts that somebody sees are asked for together, once in a while; the others when they come into sight.
function updateSoon() {
  if (updating) return;
  const each = Number(document.querySelector("[data-refresh]")?.dataset.refresh ?? EACH_S);
  updating = setTimeout(update, Math.max(0, updatedAt + each * 1000 - Date.now()));
}

async function update() {
  updating = true;
  const due = [...document.querySelectorAll("[data-refresh]")].filter((figure) => figure.stale && drawnOnce(figure) && inSight(figure));
  const counted = due.filter((figure) => figure.stale === "statistics");
  const redrawn = due.filter((figure) => !counted.includes(figure)).map((figure) => draw(figure, true));
  try {
    if (counted.length) await askForNew(counted);
  } catch {
    // The next event asks again, from the same position.
  }
  await Promise.all(redrawn);
  updatedAt = Date.now(); // From when the answers have come: however long they take, two never fall into one EACH_S.
  updating = null;
  if (due.some((figure) => figure.stale)) updateSoon();
}

function drawnOnce(figure) {
  return figure.drawing && !figure.querySelector(".canvas[aria-busy]");
}

async function askForNew(figures) {
  const since = Math.min(...figures.map((figure) => figure.position));
  for (const figure of figures) figure.stale = "";
  const charts = figures.map((figure) => ({ url: figure.dataset.chartUrl, points: pointsOf(figure), newer: drawn.get(figure)?.answer.newer, shows: drawn.get(figure)?.answer.shows }));
  const address = new URL(figures[0].dataset.chartUrl, location.href);
  const token = document.querySelector("meta[name=csrf-token]");
  const answer = await fetchJson(new URL("changes.json", address), {
    method: "POST",
    body: JSON.stringify({ since_ms: since, charts }),
    headers: { "Content-Type": "application/json", ...(token && { "X-CSRF-Token": token.content }) },
  });
  position = Math.max(position, answer.position_ms);
  figures.forEach((figure, number) => {
    const found = answer.charts[number];
    if (!figure.isConnected) return;
    if (found && (found.again || !extend(figure, found))) draw(figure, true);
    else figure.position = Math.max(figure.position, answer.position_ms);
  });
}

// Replace the ends of lines: from the bucket in which something has arrived.
function extend(figure, { from, end, lines }) {
  const known = drawn.get(figure);
  if (!known) return false;
  const { chart, answer: { option } } = known;
  known.answer.digests = known.answer.pieces = null; // The series are not any more what the server has sent.
  const changed = [];
  for (const series of option.series) {
    const points = lines[series.id];
    if (!points) continue;
    series.data = [...series.data.filter(([time]) => time < from), ...points];
    changed.push({ id: series.id, data: series.data });
  }
  if (option.xAxis.max !== undefined) option.xAxis.max = Math.max(option.xAxis.max, end);
  chart.setOption({ xAxis: option.xAxis.max === undefined ? {} : { max: option.xAxis.max }, series: changed });
  offerTable(figure, known.answer.has_table);
  return true;
}

document.addEventListener("htmx:sseMessage", ({ target, detail }) => {
  if (!target.matches?.("[data-refresh]")) return;
  position = Math.max(position, Number(detail.lastEventId || 0));
  // Of statistics the server says what is new; a chart that shows something else too is drawn anew.
  target.stale = detail.type === "statistics" && target.stale !== "all" ? "statistics" : "all";
  updateSoon();
});
document.addEventListener("visibilitychange", () => !document.hidden && updateSoon());

/* ---- All charts of the page ---- */

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) window.echarts.getInstanceByDom(target)?.resize();
});
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    if (!target.drawing) draw(target);
    else if (target.stale) updateSoon();
  }
}, { rootMargin: "200px" });

function watch(root) {
  if (root.matches && root.matches("[data-chart-url]")) seen.observe(root);
  for (const figure of root.querySelectorAll("[data-chart-url]")) seen.observe(figure);
}

function redrawAll() {
  for (const [figure, { answer }] of [...drawn]) show(figure, figure.querySelector(".canvas"), answer);
}

document.addEventListener("htmx:load", (event) => watch(event.detail.elt));
document.addEventListener("htmx:beforeCleanupElement", (event) => drawn.has(event.target) && forget(event.target));
document.addEventListener("theme", redrawAll);
document.addEventListener("zone", () => { for (const figure of [...drawn.keys()]) draw(figure); });
addEventListener("beforeprint", () => { for (const { chart } of drawn.values()) chart.resize(); });

watch(document);

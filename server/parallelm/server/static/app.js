// What all pages do in the browser: theme, time zone, times in forms, dialogs, toasts. Charts are drawn by charts.js.
"use strict";

const page = document.documentElement;

/* ---- Cookies that only say how a page looks ---- */

function remember(name, value, days) {
  const until = days ? `; max-age=${days * 86400}` : "";
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${value}; path=${page.dataset.root || "/"}; SameSite=Lax${until}${secure}`;
}

function remembered(name) {
  const found = document.cookie.split("; ").find((each) => each.startsWith(`${name}=`));
  return found && found.slice(name.length + 1);
}

/* ---- Theme ---- */

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  return page.dataset.theme ? page.dataset.theme === "dark" : systemIsDark.matches;
}

function themeChanged() {
  for (const button of document.querySelectorAll("[data-toggles=theme]")) button.setAttribute("aria-pressed", String(isDark()));
  document.dispatchEvent(new CustomEvent("theme"));
}

systemIsDark.addEventListener("change", themeChanged);

/* ---- Time zone ---- */

// Milliseconds by which the clocks of a zone are ahead of UTC at a moment.
function zoneOffset(zone, utc) {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
  });
  const parts = Object.fromEntries(format.formatToParts(new Date(utc)).map((part) => [part.type, Number(part.value)]));
  return Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second) - Math.floor(utc / 1000) * 1000;
}

// The moment at which the clocks of a zone show a time, which is given as if they showed UTC.
function utcOfWall(zone, wall) {
  const near = wall - zoneOffset(zone, wall);
  return wall - zoneOffset(zone, near);
}

function isZone(name) {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

// On the first visit the server did not know the zone yet: show its times in the browser's.
function detectZone() {
  if (remembered("zone")) return;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  remember("zone", zone);
  if (zone === page.dataset.zone) return;
  page.dataset.zone = zone;
  for (const time of document.querySelectorAll("time[datetime]")) {
    const utc = Date.parse(time.dateTime);
    const shown = new Date(utc + zoneOffset(zone, utc)).toISOString().slice(0, 19).replace("T", " ");
    // A time of day alone stays one.
    time.textContent = time.textContent.length < 10 ? shown.slice(11, 11 + time.textContent.length) : shown;
  }
  for (const choice of document.querySelectorAll("[data-zone-choice]")) choice.value = zone;
  document.dispatchEvent(new CustomEvent("zone"));
}

// Local times of a form go into the address as UTC, and empty fields not at all.
function sendTimes(form) {
  const choice = form.querySelector("[data-zone-choice]");
  const zone = choice && choice.value ? choice.value : page.dataset.zone;
  if (choice && !isZone(zone)) {
    choice.setCustomValidity("There is no such time zone; examples: UTC, Europe/Berlin");
    choice.reportValidity();
    return;
  }
  if (choice) remember("zone", zone, 365);
  const address = new URL(form.action || location.href);
  address.search = "";
  for (const [name, value] of new FormData(form)) {
    if (!value) continue;
    const isTime = form.elements[name].type === "datetime-local";
    const utc = isTime && utcOfWall(zone, Date.parse(`${value.length === 16 ? `${value}:00` : value}Z`));
    address.searchParams.append(name, isTime ? new Date(utc).toISOString().replace(".000Z", "Z") : value);
  }
  location.assign(address);
}

/* ---- Toasts ---- */

let told = []; // the newest: what, and when

// kind: "ok" or "error". An error stays until it is closed; it is not told twice.
function toast(text, kind = "ok", more = "") {
  const all = document.getElementById("toasts");
  if (kind === "error" && [...all.querySelectorAll(".error > p")].some((each) => each.firstChild?.textContent === text)) return;
  if (!all.matches(":popover-open")) all.showPopover();
  const shown = document.createElement("div");
  shown.className = `toast ${kind}`;
  const words = document.createElement("p");
  words.textContent = text;
  if (more) {
    const small = document.createElement("small");
    small.textContent = more;
    words.append(small);
  }
  const close = document.createElement("button");
  close.type = "button";
  close.className = "plain";
  close.textContent = "×";
  close.setAttribute("aria-label", "Close this message");
  close.addEventListener("click", () => shown.remove());
  shown.append(words, close);
  told = [...told.slice(-4), { text, kind, at: Date.now() }];
  all.append(shown);
  if (kind !== "error") setTimeout(() => shown.remove(), 8000);
}

// What was told just before the next page was asked for is told there, however long that page takes to come.
let askedForNextAt = 0;
addEventListener("beforeunload", () => {
  askedForNextAt = Date.now();
});
addEventListener("pagehide", () => {
  const askedAt = askedForNextAt || Date.now(); // Some browsers say only that the page goes away.
  const fresh = told.filter((each) => askedAt - each.at < 2000);
  sessionStorage.setItem("toasts", JSON.stringify(fresh));
});

function toldBefore() {
  const before = JSON.parse(sessionStorage.getItem("toasts") || "[]");
  sessionStorage.removeItem("toasts");
  for (const { text, kind } of before) toast(text, kind);
}

// A problem as the server says it: a page, a part of one, or problem details.
function problemOf(request) {
  if ((request.getResponseHeader("Content-Type") || "").includes("json")) {
    const found = JSON.parse(request.responseText);
    return [found.detail, found.request_id];
  }
  const answer = new DOMParser().parseFromString(request.responseText, "text/html").querySelector(".problem");
  return [answer && answer.textContent, request.getResponseHeader("X-Request-ID")];
}

/* ---- htmx ---- */

document.addEventListener("htmx:configRequest", (event) => {
  const token = document.querySelector("meta[name=csrf-token]");
  if (token) event.detail.headers["X-CSRF-Token"] = token.content;
});
// What comes live does not take away a dialog that somebody is filling in: it is asked for when the dialog is closed.
const missedParts = new Map(); // id of an element -> kind of event

function disturbs(event) {
  const cause = event.detail.requestConfig.triggeringEvent;
  const is = cause && cause.type.startsWith("sse:") && event.target.querySelector("dialog[open]");
  if (is) missedParts.set(event.target.id, cause.type);
  return is;
}

// Of a dialog; it does not bubble.
document.addEventListener("close", () => {
  const missed = [...missedParts];
  missedParts.clear();
  for (const [id, kind] of missed) window.htmx.trigger(`#${id}`, kind);
}, true);

// What comes at the same moment is asked for together, and again only after some seconds: then for all that came. It is not asked
// for while something else on the page brings it (data-unless).
const EACH_LIVE_S = 10;
const liveParts = new Map(); // id of an element -> {askedAt, timer, isDue}

function isAskedLater(event) {
  const part = event.target, cause = event.detail.requestConfig.triggeringEvent;
  if (!part.id || !cause || !cause.type.startsWith("sse:")) return false;
  if (part.dataset.unless && document.querySelector(part.dataset.unless)) return true;
  const known = liveParts.get(part.id) || { askedAt: 0, timer: null, isDue: false };
  liveParts.set(part.id, known);
  if (known.isDue) {
    known.isDue = false;
    known.askedAt = Date.now();
    return false;
  }
  known.timer ||= setTimeout(() => {
    known.timer = null;
    known.isDue = true;
    const now = document.getElementById(part.id);
    if (now) window.htmx.trigger(now, cause.type);
  }, Math.max(50, known.askedAt + 1000 * EACH_LIVE_S - Date.now()));
  return true;
}

document.addEventListener("htmx:beforeRequest", (event) => {
  if (disturbs(event) || isAskedLater(event)) event.preventDefault();
});
document.addEventListener("htmx:afterRequest", (event) => {
  const known = liveParts.get(event.target.id);
  if (known) known.askedAt = Date.now(); // However long the answer took, two never fall into one EACH_LIVE_S.
});
document.addEventListener("htmx:beforeSwap", (event) => {
  if (disturbs(event)) event.detail.shouldSwap = false;
});
document.addEventListener("htmx:responseError", (event) => {
  const [detail, request] = problemOf(event.detail.xhr);
  toast(detail || `The server answered ${event.detail.xhr.status}.`, "error", request ? `Request ${request}` : "");
});
document.addEventListener("htmx:sendError", () => toast("The server does not answer. Is it running, and is the network up?", "error"));
document.addEventListener("htmx:timeout", () => toast("The server took too long to answer.", "error"));
document.addEventListener("htmx:afterRequest", (event) => {
  const dialog = event.detail.successful && event.target.closest && event.target.closest("dialog[open]");
  if (dialog && event.target.matches("form")) {
    dialog.close();
    event.target.reset();
  }
});
// The answer's header HX-Trigger: {"toast": {"text": "…"}}
document.addEventListener("toast", (event) => toast(event.detail.text, event.detail.kind || "ok"));

/* ---- Clicks and forms ---- */

// Select a line of a text that is edited, counted from 1: <a href="#editor" data-line="3">
function showLine(text, number) {
  const lines = text.value.split("\n");
  const start = lines.slice(0, number - 1).reduce((sum, line) => sum + line.length + 1, 0);
  text.focus();
  text.setSelectionRange(start, start + lines[number - 1].length);
  text.scrollTop = ((number - 3) / lines.length) * text.scrollHeight;
}

document.addEventListener("click", (event) => {
  const control = event.target.closest("[data-line], [data-opens], [data-closes], [data-toggles], [data-prints]");
  if (!control) {
    for (const open of document.querySelectorAll("details.time-range[open]")) if (!open.contains(event.target)) open.open = false;
    return;
  }
  if (control.dataset.line) {
    event.preventDefault();
    showLine(document.querySelector(control.getAttribute("href")), Number(control.dataset.line));
  }
  if (control.dataset.opens) document.getElementById(control.dataset.opens).showModal();
  if ("closes" in control.dataset) control.closest("dialog").close();
  if ("prints" in control.dataset) print();
  if (control.dataset.toggles === "theme") {
    page.dataset.theme = isDark() ? "light" : "dark";
    remember("theme", page.dataset.theme, 365);
    themeChanged();
  }
});
// A file that is dropped on its field: <div class="drop" data-drop><input type="file"></div>
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    const place = event.target.closest && event.target.closest("[data-drop]");
    if (!place) return;
    event.preventDefault();
    place.classList.toggle("over", kind === "dragover");
    if (kind !== "drop" || !event.dataTransfer.files.length) return;
    const input = place.querySelector("input[type=file]");
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
}
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector("details.time-range[open]");
  if (open) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-times]")) return;
  event.preventDefault();
  sendTimes(event.target);
});
// A choice that asks for the page anew at once: <select data-submits>.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});
document.addEventListener("input", (event) => {
  if (event.target.matches("[data-zone-choice]")) event.target.setCustomValidity("");
});
document.addEventListener("focusin", (event) => {
  if (!event.target.matches("[data-zone-choice]")) return;
  const list = event.target.list;
  if (list && !list.children.length) {
    for (const name of ["UTC", ...Intl.supportedValuesOf("timeZone")]) list.append(new Option(name));
  }
});

themeChanged();
detectZone();
toldBefore();

/* ---- Logs ---- */

// A log shows its end, and follows it as long as nobody has scrolled up. It keeps data-most lines: earlier ones are asked for again.
function trimLog(log) {
  const left = log.querySelectorAll(":scope > [data-place]");
  const most = Number(log.dataset.most);
  if (left.length <= most) return;
  const first = left[left.length - most];
  while (log.firstElementChild !== first) log.firstElementChild.remove();
  const earlier = document.createElement("button");
  earlier.type = "button";
  earlier.className = "plain";
  earlier.textContent = "Earlier lines";
  const address = new URL(log.dataset.lines, location.href);
  address.searchParams.set("before", first.dataset.place);
  earlier.setAttribute("hx-get", address.pathname + address.search);
  earlier.setAttribute("hx-swap", "outerHTML");
  log.prepend(earlier);
  window.htmx.process(earlier);
}

for (const log of document.querySelectorAll("[role=log]")) {
  let isAtEnd = true;
  const toEnd = () => {
    if (!isAtEnd) return;
    trimLog(log);
    log.scrollTop = log.scrollHeight;
  };
  log.addEventListener("scroll", () => { isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40; });
  new MutationObserver(toEnd).observe(log, { childList: true });
  toEnd();
}

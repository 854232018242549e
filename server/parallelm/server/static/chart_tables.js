// The data of a chart as a table, for whoever reads rather than looks.
"use strict";

// Loaded when it is opened: it is as long as the chart itself.
function offerTable(figure, isThere) {
  const before = figure.querySelector(":scope > details");
  const wasOpen = Boolean(before && before.open);
  before?.remove();
  if (!isThere) return;
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = "Data";
  details.append(summary);
  details.addEventListener("toggle", async () => {
    if (!details.open || details.children.length > 1) return;
    const address = new URL(figure.dataset.chartUrl, location.href);
    address.searchParams.set("table", "1");
    try {
      const answer = await fetchJson(address);
      if (answer.table) details.append(tableOf(figure, answer.table));
    } catch (error) {
      details.append(error.message);
    }
  });
  figure.append(details);
  details.open = wasOpen;
}

function tableOf(figure, { columns, rows, total }) {
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", `Data of ${figure.querySelector("figcaption").textContent.trim()}`);
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const column of columns) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = column;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const value of row) {
      const cell = line.insertCell();
      const link = value && typeof value === "object" && value.link;
      if (typeof value === "number") cell.className = "n";
      if (!link) cell.textContent = shortNumber(value);
      else {
        const anchor = document.createElement("a");
        anchor.href = link;
        anchor.textContent = value.text;
        anchor.addEventListener("click", (event) => {
          if (!figure.dataset.target) return;
          event.preventDefault();
          follow(figure, link);
        });
        cell.append(anchor);
      }
    }
  }
  scroll.append(table);
  if (rows.length < total) {
    const more = document.createElement("p");
    more.textContent = `The first ${rows.length} of ${total} rows.`;
    scroll.append(more);
  }
  return scroll;
}

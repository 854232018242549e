// What the server says of charts, and what it leaves out since the browser has it. See parallelm/server/charts/pieces.py.
"use strict";

async function fetchJson(url, { headers, ...more } = {}) {
  const answer = await fetch(url, { credentials: "same-origin", ...more, headers: { Accept: "application/json", ...headers } });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.detail || `The server answered ${answer.status}.`);
  return found;
}

// Digests of all series, each with those of its pieces.
function knownOf({ digests, pieces }) {
  return (digests || []).map((own, number) => [own, ...(pieces?.[number] || []).map(([digest]) => digest)].join("*")).join(".");
}

// Put in from the answer before what is as it was. Then pieces are [digest, items].
function complete(answer, before) {
  answer.option?.series?.forEach?.((each, number, all) => {
    const had = before?.pieces?.[number];
    if (!each) {
      all[number] = before.option.series[number];
      if (had) answer.pieces[number] = had;
      return;
    }
    const pieces = answer.pieces?.[number];
    if (!pieces) return;
    let place = 0;
    answer.pieces[number] = pieces.map((piece) => Array.isArray(piece) ? [piece[0], each.data.slice(place, place += piece[1])] : had[piece]);
    each.data = answer.pieces[number].flatMap(([, items]) => items);
  });
}

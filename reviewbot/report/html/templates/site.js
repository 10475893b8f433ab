"use strict";
(() => {
  const words = () => new URLSearchParams(location.hash.slice(1));
  const keep = (fields) => {
    const query = new URLSearchParams();
    for (const field of fields) if (field.value) query.set(field.name, field.value);
    history.replaceState(null, "", "#" + query);
  };
  const form = document.querySelector("form.filter");
  if (form) {
    const fields = Array.from(form.querySelectorAll("input, select"));
    const rows = Array.from(document.querySelectorAll("table.filtered tbody tr"), (row) => ({
      row, text: row.textContent.toLowerCase(), kind: row.dataset.kind,
    }));
    const apply = () => {
      const q = form.elements.q.value.toLowerCase(), kind = form.elements.kind ? form.elements.kind.value : "";
      let shown = 0;
      for (const one of rows) {
        const visible = one.text.includes(q) && (!kind || one.kind === kind);
        one.row.hidden = !visible;
        shown += visible;
      }
      form.querySelector("output").textContent = shown + " of " + rows.length;
    };
    const read = () => {
      for (const field of fields) {
        field.value = words().get(field.name) || "";
        if (field.selectedIndex < 0) field.value = "";
      }
      apply();
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => { apply(); keep(fields); });
    addEventListener("hashchange", read);
    read();
  }
  const compare = document.getElementById("compare");
  if (!compare) return;
  const said = document.getElementById("said"), table = document.getElementById("differs");
  const { a, b } = compare.elements;
  const get = async (path) => {
    const answer = await fetch(path);
    if (!answer.ok) throw new Error(path + ": " + answer.status);
    return answer.json();
  };
  const broken = (outcome) => ["FAIL", "CRASH", "HANG"].includes(outcome);
  const kind = (from, to) =>
    !from ? "only in the second" : !to ? "only in the first" : broken(to) && !broken(from) ? "fails now"
      : broken(from) && to === "PASS" ? "passes now" : "differs";
  let asked = 0;
  const show = async () => {
    const mine = ++asked;
    keep([a, b]);
    said.textContent = "Reading both runs.";
    let one, other;
    try {
      [one, other] = await Promise.all([a, b].map((field) => get("runs/" + encodeURIComponent(field.value) + "/run.json")));
    } catch (error) {
      said.textContent = "These runs cannot be read: " + error.message;
      return;
    }
    if (mine !== asked) return; // somebody chose others meanwhile
    const rows = [];
    for (const leg of new Set([...one.legs, ...other.legs])) {
      const left = one.legs.indexOf(leg), right = other.legs.indexOf(leg);
      for (const test of new Set([...Object.keys(one.tests), ...Object.keys(other.tests)])) {
        const from = left < 0 ? "" : (one.tests[test] || [])[left] || "";
        const to = right < 0 ? "" : (other.tests[test] || [])[right] || "";
        if (from !== to) rows.push([leg, test, from, to, kind(from, to)]);
      }
    }
    const order = ["fails now", "passes now", "differs", "only in the second", "only in the first"];
    rows.sort((x, y) => order.indexOf(x[4]) - order.indexOf(y[4]));
    const body = document.createElement("tbody");
    for (const row of rows.slice(0, 5000)) {
      const line = body.insertRow();
      row.forEach((text, place) => {
        const cell = line.insertCell();
        cell.textContent = text;
        if (place === 2 || place === 3) cell.className = text;
      });
    }
    table.tBodies[0].replaceWith(body);
    table.hidden = !rows.length;
    said.textContent = one.run.kind + " and " + other.run.kind + ": " + (rows.length ? rows.length + " outcomes differ." : "no outcome differs.");
  };
  get("index.json").then((runs) => {
    for (const field of [a, b]) for (const run of runs)
      field.add(new Option(run.run + " " + run.kind + " " + run.subject.slice(0, 60), run.run));
    a.value = words().get("a") || (runs[1] || runs[0] || {}).run || "";
    b.value = words().get("b") || (runs[0] || {}).run || "";
    for (const field of [a, b]) field.addEventListener("change", show);
    if (a.value && b.value) show();
    else said.textContent = "There are no such runs.";
  }, (error) => { said.textContent = "The list of runs cannot be read: " + error.message; });
})();

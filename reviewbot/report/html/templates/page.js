"use strict";
// The filter, the order and the place are kept in the fragment: #PLACE?q=…&show=…&leg=…&sort=…; a page that lies in a
// file has no other part of its address that a script may change.
(() => {
  const form = document.getElementById("filter");
  const table = document.getElementById("table");
  const openAround = (node) => {
    for (let at = node; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };
  const parts = () => {
    let hash = location.hash.slice(1);
    try { hash = decodeURI(hash); } catch { /* a stray % */ }
    const [place, query] = hash.split("?");
    return [place, new URLSearchParams(query || "")];
  };
  const go = (place) => {
    const node = place && document.getElementById(place);
    if (!node) return;
    openAround(node);
    node.scrollIntoView();
    if (!node.hasAttribute("tabindex")) node.tabIndex = -1;
    node.focus({preventScroll: true});
  };
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  if (!form || !table) {
    addEventListener("hashchange", () => go(parts()[0]));
    go(parts()[0]);
    return;
  }
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row, number) => ({
    row, number, name: row.cells[0].textContent, flags: row.dataset.f.split(" "),
    seconds: Number(row.querySelector(".n").textContent), cells: row.cells,
  }));
  const heads = Array.from(table.tHead.querySelectorAll("[data-sort]"));
  const legs = Array.from(form.elements.leg.options, (option) => option.value).slice(1);
  const quiet = form.dataset.quiet ? "look" : "all";
  let order = "", alone = -1;
  const matcher = (text) => {
    const regex = text.match(/^\/(.+)\/$/);
    if (regex) {
      try { const found = new RegExp(regex[1], "i"); return (name) => found.test(name); } catch { return () => false; }
    }
    const low = text.toLowerCase();
    return (name) => name.toLowerCase().includes(low);
  };
  const broken = new Set(["FAIL", "CRASH", "HANG"]);
  // What one cell says, for the words of the select; rows have the same as flags, made when the page was.
  const says = (cell, show) => {
    const outcome = cell.textContent.split(" ")[0].trim();
    switch (show) {
      case "look": return outcome !== "" && !["PASS", "KNOWN", "NOTRUN"].includes(outcome);
      case "new": return cell.classList.contains("k-new") || cell.classList.contains("k-newly-notrun");
      case "broken": return broken.has(outcome);
      case "missing": return outcome === "MISS" || outcome === "INFRA";
      case "notrun": return outcome === "NOTRUN";
      case "known": return outcome === "KNOWN";
      default: return outcome !== "";
    }
  };
  const wanted = (one, show, leg) => {
    if (leg >= 0) return says(one.cells[2 + 2 * leg], show);
    if (show === "all") return true;
    return show === "look" ? !one.flags.includes("quiet") : one.flags.includes(show);
  };
  const key = (one) => {
    const by = order.replace(/^-/, "");
    if (by === "name") return one.name;
    if (by === "seconds") return one.seconds;
    if (by.startsWith("leg")) return one.cells[2 + 2 * Number(by.slice(3))].textContent;
    return one.number;
  };
  const apply = () => {
    const show = form.elements.show.value, leg = legs.indexOf(form.elements.leg.value);
    const named = matcher(form.elements.q.value.trim());
    let shown = 0;
    for (const one of rows) {
      const visible = named(one.name) && wanted(one, show, leg);
      one.row.hidden = !visible;
      shown += visible;
    }
    document.documentElement.classList.remove("quiet");
    if (alone !== leg) for (let n = 0; n < legs.length; n++)
      table.querySelectorAll(".l" + (n + 1)).forEach((cell) => { cell.hidden = leg >= 0 && leg !== n; });
    alone = leg;
    document.getElementById("shown").textContent = shown + " of " + rows.length + " tests";
  };
  const sort = () => {
    const sign = order.startsWith("-") ? -1 : 1;
    const sorted = rows.map((one) => [key(one), one]).sort(([a, one], [b, other]) =>
      (typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0) * sign || one.number - other.number);
    body.append(...sorted.map(([, one]) => one.row));
    for (const head of heads) {
      const mine = head.dataset.sort === order.replace(/^-/, "");
      head.setAttribute("aria-sort", mine ? (sign < 0 ? "descending" : "ascending") : "none");
    }
  };
  const keep = (place, write = "replaceState") => {
    const query = new URLSearchParams();
    for (const name of ["q", "show", "leg"]) {
      const value = form.elements[name].value;
      if (value !== (name === "show" ? quiet : "")) query.set(name, value);
    }
    if (order) query.set("sort", order);
    const words = query.toString();
    history[write](null, "", "#" + encodeURI(place || "") + (words ? "?" + words : ""));
  };
  const read = () => {
    const [place, query] = parts();
    form.elements.q.value = query.get("q") || "";
    form.elements.show.value = query.get("show") || quiet;
    form.elements.leg.value = query.get("leg") || "";
    if (form.elements.show.selectedIndex < 0) form.elements.show.value = quiet;
    if (form.elements.leg.selectedIndex < 0) form.elements.leg.value = "";
    const asked = query.get("sort") || "";
    const known = heads.some((head) => head.dataset.sort === asked.replace(/^-/, ""));
    if ((known ? asked : "") !== order) { order = known ? asked : ""; sort(); }
    apply();
    go(place);
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { apply(); keep(parts()[0]); });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    form.elements.q.value = form.elements.leg.value = "";
    form.elements.show.value = quiet;
    order = "";
    sort(); apply(); keep("");
  });
  for (const head of heads) head.querySelector("button").addEventListener("click", () => {
    const by = head.dataset.sort;
    order = order === by ? "-" + by : order === "-" + by ? "" : by;
    sort(); keep(parts()[0]);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const place = decodeURI(link.getAttribute("href").slice(1));
    keep(place, "pushState");
    go(place);
  });
  addEventListener("hashchange", read);
  read();
})();

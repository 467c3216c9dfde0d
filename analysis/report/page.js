// Sorting and filtering. Without this script the page has the same content, only static.
"use strict";
(() => {
  const rank = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.v === undefined) return cell.textContent.trim() || null;
    return cell.dataset.v === "" ? null : Number(cell.dataset.v);
  };

  // What has no value stands last in both directions.
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b), "en", { numeric: true });
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    const next = { none: "ascending", ascending: "descending", descending: "none" };
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      // a head of two lines stays one of two
      button.append(...head.childNodes);
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const order = next[head.getAttribute("aria-sort")];
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", order);
        const sign = order === "descending" ? -1 : 1;
        const rows = [...original];
        if (order !== "none") {
          rows.sort((a, b) => compare(rank(a, column), rank(b, column), sign));
        }
        body.append(...rows);
      });
    });
  }

  const field = (row, name) => row.closest(`[data-${name}]`)?.dataset[name];

  for (const form of document.querySelectorAll("form.filter")) {
    const rows = [...document.querySelectorAll(form.dataset.rows)];
    const parts = [...new Set(rows.map((row) => row.closest("details")).filter(Boolean))];
    const texts = rows.map((row) => {
      const part = row.closest("details")?.querySelector("h3").textContent ?? "";
      return `${part} ${row.textContent}`.toLowerCase();
    });
    const apply = () => {
      const wanted = Object.fromEntries(new FormData(form));
      const words = wanted.q.toLowerCase().split(/\s+/).filter(Boolean);
      const active = words.length > 0 || wanted.target || wanted.source || wanted.status;
      let shown = 0;
      rows.forEach((row, index) => {
        const fits =
          (!wanted.target || field(row, "target") === wanted.target) &&
          (!wanted.source || field(row, "source") === wanted.source) &&
          (!wanted.status || row.dataset.status === wanted.status ||
            (wanted.status === "degenerate" && "degenerate" in row.dataset)) &&
          words.every((word) => texts[index].includes(word));
        row.hidden = !fits;
        shown += fits;
      });
      for (const part of parts) {
        const left = part.querySelectorAll("tbody tr:not([hidden])").length;
        part.hidden = left === 0;
        part.open = Boolean(active) && left > 0;
      }
      form.querySelector("output").textContent =
        active ? `${shown} of ${rows.length} rows` : "";
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(apply));
  }

  for (const tools of document.querySelectorAll(".tools")) {
    tools.hidden = false;
    tools.addEventListener("click", (event) => {
      const wish = event.target.dataset.open;
      if (!wish) return;
      for (const part of document.querySelectorAll("details.part")) part.open = wish === "yes";
    });
  }

  // On paper nothing can be opened. What a filter hides stays hidden.
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details.part:not([open])")];
    for (const part of closed) part.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const part of closed) part.open = false;
  });

  const reveal = () => {
    const part = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (part instanceof HTMLDetailsElement) {
      part.hidden = false;
      part.open = true;
      part.scrollIntoView();
    }
  };
  window.addEventListener("hashchange", reveal);
  reveal();
})();

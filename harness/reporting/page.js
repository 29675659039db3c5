"use strict";
// Opens claims in place, filters them, and draws images when they are looked at. Nothing is loaded from anywhere.
(() => {
  const one = (query, within = document) => within.querySelector(query);
  const all = (query, within = document) => [...within.querySelectorAll(query)];

  // What claims open into waits as text in <noscript>, so that a page of many thousand marks opens at once.
  const draw = (within) => {
    for (const waiting of all("noscript.lazy", within)) {
      const holder = document.createElement("template");
      holder.innerHTML = waiting.textContent;
      waiting.replaceWith(holder.content);
    }
  };

  const fill = (look) => {
    const shown = document.getElementById(look.dataset.shows);
    const place = one(".elsewhere", look);
    if (shown && place) {
      const copy = one("div", shown).cloneNode(true);
      place.replaceWith(copy);
      draw(copy);
    }
  };

  // Rows of subjects of another family are left out of what is open, too.
  const narrow = (within) => {
    const family = one("form.filters #family").value;
    for (const row of all("tr.of, tr.why", within)) row.hidden = Boolean(family) && row.dataset.family !== family;
  };

  const open = (button, wanted) => {
    const inside = one(".inside", button.closest("tr").nextElementSibling);
    button.setAttribute("aria-expanded", String(wanted));
    inside.hidden = !wanted;
    if (wanted) {
      draw(inside);
      narrow(inside);
      const looks = all("details.look", inside);
      if (looks.length && !looks.some((look) => look.open)) looks[0].open = true;
    }
  };

  const buttons = all("button.open");
  for (const button of buttons) {
    const isOpen = () => button.getAttribute("aria-expanded") === "true";
    button.addEventListener("click", () => open(button, !isOpen()));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        const visible = buttons.filter((b) => !b.closest("[hidden]"));
        const next = visible[visible.indexOf(button) + step];
        if (next) next.focus();
        event.preventDefault();
      } else if (event.key === "Escape") {
        open(button, false);
      }
    });
  }
  // Events of details do not bubble, but they can be caught on the way down.
  document.addEventListener("toggle", (event) => {
    const details = event.target;
    if (!details.open) return;
    if (details.matches("details.look")) fill(details);
    else draw(details);
  }, true);

  const goToHash = () => {
    let name = location.hash.slice(1);
    try { name = decodeURIComponent(name); } catch { /* It is no name of anything here. */ }
    const target = document.getElementById(name);
    if (!target) return;
    if (target.matches("tr.claim")) {
      target.hidden = false;
      target.parentElement.hidden = false;
      target.nextElementSibling.hidden = false;
      open(one("button.open", target), true);
      one("button.open", target).focus({ preventScroll: true });
    }
    if (target.matches("details")) target.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", goToHash);

  const stories = all(".story"), picks = all("button.pick");
  const tell = (chosen) => {
    stories.forEach((story, i) => { story.hidden = i !== chosen; });
    picks.forEach((pick, i) => pick.setAttribute("aria-pressed", String(i === chosen)));
    if (stories[chosen]) draw(stories[chosen]);
  };
  picks.forEach((pick, i) => pick.addEventListener("click", () => tell(i)));
  if (stories.length) tell(0);

  const table = one("table.matrix"), form = one("form.filters");
  const heads = all("th.subject", table);
  const rows = all("tr.claim", table).map((row) => ({
    row,
    detail: row.nextElementSibling,
    cells: all("td", row),
    section: row.parentElement.dataset.section,
    text: `${row.textContent} ${row.id} ${one("p", row.nextElementSibling).textContent}`.toLowerCase(),
  }));
  const filter = () => {
    const words = one("#search", form).value.toLowerCase().split(/\s+/).filter(Boolean);
    const section = one("#section", form).value, family = one("#family", form).value;
    const wanted = all("input[name=verdict]:checked", form).map((box) => box.value);
    const seen = heads.map((head) => !family || head.dataset.family === family);
    heads.forEach((head, i) => { head.hidden = !seen[i]; });
    let count = 0;
    for (const { row, detail, cells, section: own, text } of rows) {
      cells.forEach((cell, i) => { cell.hidden = !seen[i]; });
      const verdicts = cells.filter((_, i) => seen[i]).flatMap((cell) => cell.dataset.verdict.split(" "));
      const shown = words.every((word) => text.includes(word)) && (!section || section === own)
        && (!wanted.length || wanted.some((verdict) => verdicts.includes(verdict)))
        && (!family || verdicts.some(Boolean));
      row.hidden = detail.hidden = !shown;
      count += shown;
    }
    narrow(table);
    for (const body of all("tbody[data-section]", table)) {
      body.hidden = !all("tr.claim", body).some((row) => !row.hidden);
    }
    const all_shown = count === rows.length ? "" : ` of ${rows.length}`;
    one("#shown", form).textContent = `${count}${all_shown} claims shown.`;
    measure();
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));

  // A table that fits needs no frame that scrolls, and its heads can then stay in sight.
  const frame = table.parentElement;
  const measure = () => {
    frame.classList.remove("fits");
    const fits = table.offsetWidth <= frame.clientWidth + 1;
    frame.classList.toggle("fits", fits);
    frame.tabIndex = fits ? -1 : 0;
  };
  addEventListener("resize", measure);
  addEventListener("beforeprint", () => {
    all(".inside:not([hidden]) details.look[open]").forEach(fill);
    all("details.measured[open]").forEach(draw);
  });
  filter();
  goToHash();
})();

// The log of a job: its end is in sight, and what comes is added to it.
"use strict";

(() => {
  const most = 5000; // lines that are kept: a browser gets slow with more
  const box = document.getElementById("log");
  const live = document.getElementById("live");
  if (!box) return;

  function end() { return box.scrollHeight - box.scrollTop - box.clientHeight < 40; }

  function localize(root) {
    const form = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
    for (const t of root.querySelectorAll("time[datetime]")) {
      const at = new Date(t.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      t.dataset.shown = "1";
      t.textContent = form.format(at);
    }
  }

  // place is by what lines are ordered: a second comes before its fractions, and insert IDs tell lines of one time apart.
  function place(row) { return row.id.replace("Z!", "!"); }

  // put shows a row at its place, unless it is shown already: lines come late, and some come again. One before the first
  // row belongs to an earlier page, if there is one.
  let cut = live.querySelector('a[rel="prev"]') !== null;
  function put(row) {
    if (row.id && document.getElementById(row.id)) return;
    let next = null, at = row.id ? box.lastElementChild : null;
    for (; at && !(at.id && place(at) < place(row)); at = at.previousElementSibling) if (at.id) next = at;
    if (!next || at || !cut) box.insertBefore(row, next);
  }

  // days shows the day above the first line of each: times are without it.
  function days() {
    const form = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });
    let last = "";
    for (const t of box.querySelectorAll("time[datetime]")) {
      const at = new Date(t.dateTime), day = at.toDateString(), row = t.closest(".row");
      if (Number.isNaN(at.getTime())) continue;
      if (day === last) delete row.dataset.day;
      else if (!row.dataset.day) row.dataset.day = form.format(at);
      last = day;
    }
  }

  // rove makes a link the one at which Tab stops; the arrows lead to the others.
  let stop = null;
  function rove(to) {
    for (const a of box.querySelectorAll("a:not([tabindex])")) a.tabIndex = -1;
    if (!to) return;
    if (stop) stop.tabIndex = -1;
    stop = to;
    stop.tabIndex = 0;
  }

  const rungs = () => [...box.querySelectorAll("a")];
  box.addEventListener("focusin", (e) => { if (e.target.matches("a")) rove(e.target); });
  box.addEventListener("keydown", (e) => {
    const way = { ArrowUp: -1, ArrowDown: 1 }[e.key];
    if (!way || !e.target.matches("a")) return;
    e.preventDefault();
    const all = rungs(), next = all[all.indexOf(e.target) + way];
    if (next) next.focus();
  });

  // take shows rows, and as many of those before them as a browser bears.
  function take(rows) {
    for (const row of rows) put(row);
    while (box.childElementCount > most) {
      box.firstElementChild.remove();
      cut = true;
    }
    days();
    const empty = live.querySelector(".empty");
    if (empty && box.childElementCount) empty.remove();
    rove(stop && stop.isConnected ? null : rungs().pop());
  }

  // What comes while somebody reads lines that would have to go for it is held until they are at the end.
  let held = [], left = 0;
  const newer = document.createElement("button");
  newer.className = "newer";
  newer.hidden = true;
  box.after(newer);

  function hold(rows) {
    held.push(...rows);
    left += Math.max(0, held.length - most);
    held = held.slice(-most);
    newer.textContent = `${left + held.length} newer lines`;
    newer.hidden = false;
  }

  function release() {
    if (!held.length) return;
    const rows = held;
    if (left) {
      const gap = document.createElement("div");
      gap.className = "row skipped";
      gap.textContent = `${left} lines were left out: they came while you read others`;
      rows.unshift(gap);
    }
    [held, left, newer.hidden] = [[], 0, true];
    take(rows);
    box.scrollTop = box.scrollHeight;
  }

  newer.addEventListener("click", () => {
    release();
    box.focus();
  });
  box.addEventListener("scroll", () => { if (end()) release(); });

  localize(box);
  days();
  const here = box.querySelector(".here") || document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (here) here.scrollIntoView({ block: "center" });
  else if (box.hasAttribute("data-tail")) box.scrollTop = box.scrollHeight;
  rove((here && here.querySelector("a")) || rungs().pop());

  live.addEventListener("jobdrop:lines", (e) => {
    const reads = !end();
    const holder = document.createElement("template");
    holder.innerHTML = e.detail.data;
    localize(holder.content);
    const rows = [...holder.content.children];
    if (held.length || reads && box.childElementCount + rows.length > most) {
      hold(rows);
      return;
    }
    take(rows);
    if (!reads) box.scrollTop = box.scrollHeight;
  });
})();

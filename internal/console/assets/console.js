// What the console's pages do beyond links and forms: times in the viewer's zone, and news as they come. Every page is
// whole without it.
"use strict";

(() => {
  const exact = new Intl.DateTimeFormat(undefined, {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
  });

  const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });

  // words returns how long ago a time was, or how far away it is, in its two largest units.
  function words(ms) {
    const s = Math.max(0, Math.floor(Math.abs(ms) / 1000));
    const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
    let text = `${s}s`;
    if (d >= 10) text = `${d}d`;
    else if (d > 0) text = `${d}d${h}h`;
    else if (h > 0) text = `${h}h${m}m`;
    else if (m > 0) text = `${m}m${s % 60}s`;
    if (s < 10) return "now";
    return ms < 0 ? `in ${text}` : `${text} ago`;
  }

  // localize shows the times below an element in the viewer's zone. Their titles have the exact time.
  function localize(root) {
    for (const t of root.querySelectorAll("time[datetime]")) {
      const at = new Date(t.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      if (t.hasAttribute("data-words")) {
        const said = words(Date.now() - at.getTime());
        if (t.textContent !== said) t.textContent = said;
      } else if (!t.dataset.shown) {
        t.dataset.shown = "1";
        t.textContent = exact.format(at);
      }
    }
  }

  const live = document.getElementById("live");
  const light = document.getElementById("stream");
  let source = null, failures = 0, timer = 0, lost = 0;

  function say(word, is) {
    clearTimeout(lost);
    lost = 0;
    if (!light) return;
    light.className = is;
    if (light.textContent !== word) light.textContent = word;
  }

  // fresh and stale say of the page that it is as it was seen at a time, and that it can't be read since then.
  function fresh(e) {
    say("live", "on");
    seen(e.data);
  }

  function stale(e) {
    say(`can’t be read since ${minute.format(new Date(e.data))}`, "off");
    seen(e.data);
  }

  function seen(at) {
    const t = document.querySelector("footer time");
    t.dateTime = at;
    t.title = `${at.slice(0, 19).replace("T", " ")} UTC`;
    t.textContent = exact.format(new Date(at));
  }

  // gone says since when nothing comes. A stream that ends in its time is there again before it is said.
  function gone() {
    if (lost || light.classList.contains("gone")) return;
    const since = minute.format(new Date());
    lost = setTimeout(() => say(`not connected since ${since}`, "off gone"), 5000);
  }

  // name returns by what an element is known in the next state, too.
  function name(n) {
    if (n.nodeType !== Node.ELEMENT_NODE) return "";
    return n.dataset.key || n.id || n.getAttribute("aria-labelledby") || n.getAttribute("aria-label") || "";
  }

  // become makes an element or text another one. It keeps what a viewer did to it: what is open, scrolled, or typed in.
  function become(now, next) {
    if (now.nodeType !== Node.ELEMENT_NODE) {
      if (now.data !== next.data) now.data = next.data;
      return;
    }
    if (now.classList.contains("plot") || now.nodeName === "TIME" && now.dateTime === next.dateTime) return; // a script's
    for (const { name: own } of [...now.attributes]) {
      if (!next.hasAttribute(own) && own !== "open") now.removeAttribute(own);
    }
    for (const { name: own, value } of next.attributes) {
      if (now.getAttribute(own) !== value && own !== "open") now.setAttribute(own, value);
    }
    change(now, next);
  }

  // change gives an element the content of another. Elements that have a name are the same ones afterwards.
  function change(box, next) {
    const names = new Set([...next.children].map(name));
    const stays = (n) => name(n) !== "" && names.has(name(n));
    let at = box.firstChild;
    const drop = () => { const gone = at; at = at.nextSibling; gone.remove(); };
    for (const wanted of [...next.childNodes]) {
      while (at && name(at) && !stays(at)) drop();
      let same = at;
      if (name(wanted)) while (same && name(same) !== name(wanted)) same = same.nextSibling;
      else if (at && stays(at)) same = null;
      if (!same || same.nodeName !== wanted.nodeName) {
        box.insertBefore(wanted, at);
        continue;
      }
      while (at && at !== same && !stays(at)) drop();
      if (at === same) at = at.nextSibling;
      else box.insertBefore(same, at);
      become(same, wanted);
    }
    while (at) drop();
  }

  // put shows a new state of the part that changes. Where what had the focus is gone, its place has it.
  function put(html, version) {
    if (live.dataset.version === version) return;
    const focused = live.contains(document.activeElement) ? document.activeElement : null;
    const next = document.createElement("div");
    next.innerHTML = html;
    change(live, next);
    live.dataset.version = version;
    if (focused && document.activeElement !== focused) (focused.isConnected ? focused : live).focus({ preventScroll: true });
    localize(live);
    live.dispatchEvent(new CustomEvent("jobdrop:put", { bubbles: true }));
  }

  function follow() {
    if (!live || !live.dataset.version || source || document.hidden) return;
    const address = new URL(live.dataset.stream || location.href, location.href);
    address.hash = "";
    if (!live.dataset.stream) address.searchParams.set("from", live.dataset.version);
    source = new EventSource(address);
    source.onopen = () => { failures = 0; say("live", "on"); };
    source.addEventListener("fresh", fresh);
    source.addEventListener("stale", stale);
    source.onmessage = (e) => put(e.data, e.lastEventId);
    source.addEventListener("lines", (e) => live.dispatchEvent(new CustomEvent("jobdrop:lines", { detail: e, bubbles: true })));
    source.addEventListener("end", () => {
      leave();
      say("ended", "");
      live.removeAttribute("data-version");
      if (live.dataset.stream) conclude();
    });
    source.onerror = () => {
      gone();
      if (source && source.readyState === EventSource.CLOSED) { // refused: the browser does not try again
        leave();
        failures = Math.min(failures + 1, 6);
        clearTimeout(timer);
        timer = setTimeout(follow, 2000 * 2 ** failures);
      }
    };
  }

  // conclude shows the state in which a job ended, where the stream is of something else.
  async function conclude() {
    const got = await fetch(location.href).catch(() => null); // without it the heading stays as it was
    if (!got || !got.ok) return;
    const next = new DOMParser().parseFromString(await got.text(), "text/html").querySelector(".heading");
    if (next) become(document.querySelector(".heading"), next);
  }

  function leave() {
    if (source) source.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) {
      follow();
      return;
    }
    timer = setTimeout(() => { leave(); say("paused", ""); }, 20000); // nobody looks
  });
  addEventListener("pagehide", leave);
  addEventListener("pageshow", (e) => {
    if (e.persisted) for (const form of document.querySelectorAll(".filter")) form.reset(); // to what the address says
    follow();
  });

  localize(document);
  setInterval(() => localize(document), 10000);
  follow();
})();

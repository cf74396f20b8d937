// Charts of the scalars that a trainer wrote. The tables beside them have the same facts.
"use strict";

(() => {
  const live = document.getElementById("live");
  const plots = new Map(); // by tags
  let asked = null;

  function colours() {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    return dark
      ? ["#6cb6ff", "#5bd17b", "#e3b341", "#ff8f85", "#c5a5f0", "#4fd1c5", "#f0a35e", "#9aa4af"]
      : ["#0860c4", "#1a7f37", "#8a5a00", "#b42318", "#7a4fc0", "#0f7b74", "#b35900", "#57606a"];
  }

  // drawable reports whether there is a line, and an axis for it: the width of a range can be beyond all numbers.
  function drawable(chart) {
    const all = chart.runs.flatMap((r) => r.values).filter((v) => v !== null);
    const range = all.reduce((a, v) => Math.max(a, v), -Infinity) - all.reduce((a, v) => Math.min(a, v), Infinity);
    return Number.isFinite(range) && chart.runs.some((r) => r.steps.length > 1);
  }

  // ticks returns the texts of an axis: with as many digits as tell one from the next.
  function ticks(_, splits, axis, space, step) {
    const size = (v) => Math.floor(Math.log10(Math.abs(v)));
    const [digits, exponent] = Number(step.toPrecision(3)).toExponential().split("e");
    const last = Number(exponent) - Math.max(0, digits.length - 2); // the place of a step's last digit
    const most = size(Math.max(...splits.map(Math.abs)));
    return splits.map((v) => {
      if (Math.abs(v) < step / 1000) return "0";
      if (most > -4 && most < 7) return v.toFixed(Math.max(0, -last));
      return v.toExponential(Math.min(15, Math.max(0, size(v) - last))).replace("e+", "e");
    });
  }

  // width returns how much room an axis takes for its texts.
  function width(plot, texts, index, cycle) {
    const axis = plot.axes[index];
    if (cycle > 1) return axis._size; // what was found before: else it goes to and fro
    plot.ctx.font = axis.font[0];
    const widest = Math.max(0, ...(texts ?? []).map((t) => plot.ctx.measureText(t).width));
    return Math.max(50, Math.ceil(axis.ticks.size + axis.gap + 2 + widest / devicePixelRatio));
  }

  // zoomed returns the part of the steps that the viewer chose, if they did.
  function zoomed(plot) {
    const { min, max } = plot.scales.x, steps = plot.data[0];
    return min > steps[0] || max < steps[steps.length - 1] ? { min, max } : null;
  }

  // reachable lets the keyboard switch series on and off, as the pointer does.
  function reachable(plot) {
    plot.root.querySelectorAll(".u-legend .u-series").forEach((row, i) => {
      if (i === 0) return; // the steps
      const label = row.querySelector(".u-label");
      label.tabIndex = 0;
      label.setAttribute("role", "button");
      label.setAttribute("aria-pressed", String(plot.series[i].show));
    });
  }

  live.addEventListener("keydown", (e) => {
    if (!e.target.matches(".u-label") || e.key !== "Enter" && e.key !== " ") return;
    e.preventDefault();
    e.target.click();
  });

  function draw(place, chart, anew) {
    const data = uPlot.join(chart.runs.map((r) => [r.steps, r.values]));
    const runs = JSON.stringify(chart.runs.map((r) => r.run));
    const old = plots.get(chart.tag);
    const part = old && zoomed(old.plot);
    if (old && old.place === place && old.runs === runs && !anew) {
      old.plot.setData(data, !part);
      if (part) old.plot.setScale("x", part);
      return;
    }
    const off = new Set(), { left, top } = old ? old.plot.cursor : { left: -1 };
    if (old) {
      for (const s of old.plot.series) if (!s.show) off.add(s.label);
      old.plot.destroy();
    }
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--faint").trim(), line = style.getPropertyValue("--line").trim();
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, values: ticks };
    const palette = colours();
    place.hidden = false;
    const plot = new uPlot({
      width: Math.max(200, place.clientWidth), height: 220,
      scales: { x: { time: false } },
      axes: [axis, { ...axis, size: width }],
      series: [{ label: "step" }, ...chart.runs.map((r, i) => ({
        label: r.run, stroke: palette[i % palette.length], width: 1.5, spanGaps: true, show: !off.has(r.run),
        points: { show: (u) => u.data[0].length < 30, size: 5 },
        value: (_, v) => (v === null || v === undefined ? "–" : Number(v.toPrecision(6)).toString()),
      }))],
      legend: { live: true },
      hooks: { setSeries: [reachable] },
    }, data, place);
    plots.set(chart.tag, { plot, place, runs });
    reachable(plot);
    if (part) plot.setScale("x", part);
    if (left >= 0) plot.setCursor({ left, top });
  }

  // settle leaves room for charts to come, if the server has lines of them, and forgets those that are not there any more.
  function settle(known) {
    for (const [tag, { plot, place }] of plots) {
      if (place.isConnected && known(tag)) continue;
      plot.destroy();
      plots.delete(tag);
    }
    for (const place of live.querySelectorAll(".plot")) {
      const tag = place.dataset.key;
      place.hidden = !plots.has(tag) && !(known(tag) && place.parentElement.querySelector(".spark path"));
    }
  }

  async function load(anew) {
    const root = live.querySelector("[data-curves]");
    if (!root || typeof uPlot === "undefined") return;
    if (asked) asked.abort();
    const own = asked = new AbortController();
    settle(() => true);
    let charts;
    try {
      const got = await fetch(root.dataset.curves, { headers: { Accept: "application/json" }, signal: own.signal });
      if (!got.ok) throw new Error(got.statusText);
      charts = new Map((await got.json()).charts.filter(drawable).map((chart) => [chart.tag, chart]));
    } catch {
      if (own === asked) settle((tag) => plots.has(tag)); // the tables have the facts
      return;
    }
    if (own !== asked) return;
    settle((tag) => charts.has(tag));
    for (const place of live.querySelectorAll(".plot")) {
      const chart = charts.get(place.dataset.key);
      if (chart) draw(place, chart, anew);
    }
  }

  let timer = 0;
  addEventListener("resize", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      for (const { plot, place } of plots.values()) plot.setSize({ width: Math.max(200, place.clientWidth), height: 220 });
    }, 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => load(true));
  live.addEventListener("jobdrop:put", () => load(false));
  load(false);
})();

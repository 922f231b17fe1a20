"use strict";

const charts = JSON.parse(document.getElementById("charts").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const drawn = new Map(); // from a chart's element to the result of Vega-Embed

// Take the colors from the style sheet.
function config() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  const text = { labelColor: color("muted"), titleColor: color("ink") };
  return {
    background: null,
    font: "system-ui, sans-serif",
    view: { stroke: color("line") },
    axis: { ...text, gridColor: color("line"), gridOpacity: 0.6, domainColor: color("line"), tickColor: color("line"), titleFontWeight: "normal" },
    legend: { labelColor: color("ink"), titleColor: color("ink"), orient: "top", symbolStrokeWidth: 2, columns: 2, labelLimit: 260 },
    range: { category: ["ink", "vermilion", "blue", "green", "pink", "orange", "sky"].map(color) },
    point: { color: color("blue") },
    circle: { color: color("blue") },
    bar: { color: color("blue") },
    area: { color: color("muted") },
    rect: { color: color("muted") },
    line: { color: color("vermilion"), strokeWidth: 2 },
    rule: { color: color("ink") },
    style: { quiet: { color: color("ink") } },
  };
}

async function draw(place) {
  drawn.get(place)?.finalize();
  const spec = structuredClone(charts[place.dataset.chart]);
  if (place.dataset.values) {
    spec.data = { values: JSON.parse(place.dataset.values) };
    spec.description = place.dataset.description;
  }
  drawn.set(place, await vegaEmbed(place, spec, { actions: false, renderer: "svg", config: config() }));
}

// A hidden chart is drawn again when it becomes visible.
function forget(place) {
  drawn.get(place)?.finalize();
  drawn.delete(place);
}

function drawOnce(place) {
  if (drawn.has(place)) return;
  drawn.set(place, undefined);
  draw(place);
}

// Draw visible charts first and the others when the browser is idle, so that the page does not grow while it is read. A
// hidden chart has no width; it is drawn when it becomes visible.
const seen = new IntersectionObserver((entries) => {
  entries.filter((entry) => entry.isIntersecting).forEach((entry) => drawOnce(entry.target));
}, { rootMargin: "200px" });
document.querySelectorAll(".chart").forEach((place) => seen.observe(place));
const drawRest = () => document.querySelectorAll(".chart").forEach((place) => place.closest("[hidden]") || drawOnce(place));
(self.requestIdleCallback ?? setTimeout)(drawRest);
addEventListener("beforeprint", drawRest);
dark.addEventListener("change", () => [...drawn.keys()].forEach((place) => place.closest("[hidden]") ? forget(place) : draw(place)));

function press(button, among) {
  among.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
}

const list = document.getElementById("filter-list");
if (list) {
  const buttons = () => [...list.querySelectorAll("button")];

  // Only one button is a stop of the Tab key; arrow keys move to the others.
  function go(button) {
    buttons().forEach((other) => { other.tabIndex = other === button ? 0 : -1; });
    button.focus();
  }

  function choose(button) {
    press(button, buttons());
    buttons().forEach((other) => { other.tabIndex = other === button ? 0 : -1; });
    document.querySelectorAll("#units > article").forEach((page) => { page.hidden = page.id !== button.getAttribute("aria-controls"); });
    document.getElementById("units").scrollIntoView({ block: "nearest" });
  }

  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) choose(button);
  });

  list.addEventListener("keydown", (event) => {
    const all = buttons();
    const columns = getComputedStyle(list).gridTemplateColumns.split(" ").length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -Infinity, End: Infinity };
    const at = all.indexOf(document.activeElement);
    if (at < 0 || !(event.key in steps)) return;
    event.preventDefault();
    go(all[Math.min(Math.max(at + steps[event.key], 0), all.length - 1)]);
  });

  document.getElementById("sort").addEventListener("change", (event) => {
    const value = (item) => parseFloat(item.dataset[event.target.value] ?? "Infinity");
    const number = (item) => Number(item.dataset.number);
    const items = [...list.children];
    items.sort((one, other) => value(one) - value(other) || number(one) - number(other));
    list.append(...items);
  });
}

const strongest = document.getElementById("strongest");
if (strongest) {
  const patches = JSON.parse(document.getElementById("patches").textContent);
  const choices = [...document.querySelectorAll("[data-patch]")];
  let patch = patches[0];

  function show() {
    const k = Number(strongest.value);
    const all = k > patch.units.length || k === document.querySelectorAll("#units > article").length;
    const units = patch.units.slice(0, k);
    const which = all ? "all units" : k === 0 ? "no unit" : `k = ${k}: unit${k > 1 ? "s" : ""} ${units.join(", ")}`;
    const error = patch.errors[k].toPrecision(3);
    document.getElementById("reconstructed").src = patch.frames[k];
    document.getElementById("reconstructed").alt = `Reconstruction of row ${patch.row} from ${which}`;
    document.getElementById("reconstruction-status").textContent = `${which}; squared error ${error}`;
    strongest.setAttribute("aria-valuetext", `${which}, squared error ${error}`);
  }

  choices.forEach((button) => button.addEventListener("click", () => {
    press(button, choices);
    patch = patches[Number(button.dataset.patch)];
    document.getElementById("original").src = patch.original;
    document.getElementById("original").alt = `Original, row ${patch.row}`;
    document.getElementById("how").textContent = `, ${patch.how}`;
    show();
  }));
  strongest.addEventListener("input", show);
  show();
}


{
  // Numbers are typed arrays in base64, with the same length for each unit or row.
  const data = JSON.parse(document.getElementById("named").textContent);
  const unpacked = ({ type, data }) => {
    const text = atob(data);
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
    return new globalThis[`${type}Array`](bytes.buffer);
  };
  const unpackAll = (packed) => Object.fromEntries(Object.entries(packed).map(([key, value]) => [key, value.type ? unpacked(value) : value]));
  const { names, nStrongest, restsAtZero, features } = data;
  const rows = unpackAll(data.rows);
  const units = unpackAll(data.units);
  const numbers = data.numbers && unpacked(data.numbers);
  const nRows = names.length;
  const nUnits = units.coherence.length;
  const NONE = -128; // a share that is not known

  const rowNumber = (row) => numbers ? numbers[row] : row;
  const part = (array, at, n) => array.subarray(at * (array.length / n), (at + 1) * (array.length / n));
  const rowsOf = (key, unit) => [...part(units[key], unit, nUnits)].filter((row) => row < nRows);
  const short = (value) => Number.isFinite(value) ? Number(value.toPrecision(3)).toString().replace("-", "−") : "–";
  const hundredths = (value) => value === NONE ? "–" : (value / 100).toFixed(2).replace("-", "−");
  const percent = (value) => value === NONE ? "–" : `${value} %`.replace("-", "−");
  const share = (value) => value === 0 ? "0 %" : value >= 0.1 ? `${Math.round(100 * value)} %` : `${Number((100 * value).toPrecision(2))} %`;
  const nameOf = (row) => names[row] === "" ? "(no name)" : names[row];
  const title = (unit, n) => rowsOf("strongest", unit).slice(0, n).map(nameOf).join(", ") || "active on no row";

  // Names are text, never markup.
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    made.append(...children);
    return made;
  }

  function link(text, open, label) {
    const button = element("button", { type: "button", class: "link" }, text);
    if (label) button.setAttribute("aria-label", label);
    button.addEventListener("click", open);
    return button;
  }

  function bar(fraction) {
    const made = element("span", { class: "bar", "aria-hidden": "true" }, element("i"));
    made.firstChild.style.width = `${100 * fraction}%`;
    return made;
  }

  // ---- Units

  const list = document.getElementById("unit-list");
  const panel = document.getElementById("unit-panel");
  const items = [];

  function openUnit(unit) {
    if (list) {
      choose(unit);
      items[unit].scrollIntoView({ block: "nearest" });
      panel.scrollIntoView({ block: "nearest" });
    } else {
      document.querySelector(`#filter-list button[aria-controls="unit-${unit}"]`).click();
    }
  }

  function facts(unit) {
    const made = element("dl", { class: "facts" });
    const add = (name, value) => made.append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
    if (restsAtZero) add("density", `${share(units.density[unit])} (${Math.round(units.density[unit] * nRows).toLocaleString("en")} rows)`);
    add("coherence", Number.isFinite(units.coherence[unit]) ? units.coherence[unit].toFixed(2).replace("-", "−") : "–");
    add("contribution", short(units.contribution[unit]));
    add("mean activation", short(units.mean[unit]));
    add("loss without the unit", short(units.loss[unit]));
    return made;
  }

  function strongestRows(unit) {
    const activations = part(units.activations, unit, nUnits);
    const made = element("ol", { class: "bars" });
    rowsOf("strongest", unit).forEach((row, place) => {
      const level = activations[place] / 255;
      const value = short(level * units.high[unit]);
      const open = link(nameOf(row), () => openRow(row), `${nameOf(row)}, activation ${value}`);
      open.classList.add("name");
      open.title = `row ${rowNumber(row)}, activation ${value}`;
      made.append(element("li", {}, open, bar(level)));
    });
    return made;
  }

  // Bars of the logarithm of 1 + the number of rows.
  function histogram(unit) {
    const counts = part(units.histogram, unit, nUnits);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const most = Math.log1p(Math.max(...counts)) || 1;
    const space = "http://www.w3.org/2000/svg";
    const picture = document.createElementNS(space, "svg");
    const label = `Histogram of the activation of unit ${unit} on ${total} rows, from ${short(units.low[unit])} to ${short(units.high[unit])}`;
    Object.entries({ class: "histogram", role: "img", "aria-label": label, viewBox: `0 0 ${counts.length} 1`, preserveAspectRatio: "none" })
      .forEach(([key, value]) => picture.setAttribute(key, value));
    counts.forEach((count, bin) => {
      const height = Math.log1p(count) / most;
      const box = document.createElementNS(space, "rect");
      Object.entries({ x: bin + 0.06, width: 0.88, y: 1 - height, height }).forEach(([key, value]) => box.setAttribute(key, value));
      picture.append(box);
    });
    const caption = `activation on the ${total.toLocaleString("en")} rows ${restsAtZero ? "where it is active" : "of this page"}; heights are logarithmic`;
    return element("figure", {}, picture, element("div", { class: "axis small" }, element("span", {}, short(units.low[unit])), element("span", {}, short(units.high[unit]))), element("figcaption", {}, caption));
  }

  function separated(links) {
    const made = element("p", { class: "random" });
    links.forEach((each, place) => made.append(...(place ? [", ", each] : [each])));
    return made;
  }

  function showUnit(unit) {
    const heading = element("h3", { id: "unit-name", tabindex: "-1" }, `Unit ${unit}`);
    const troubles = units.troubles[unit];
    if (troubles) heading.append(" ", element("span", { class: "badge" }, troubles.join(", ")));
    panel.replaceChildren(heading, facts(unit));
    const strongest = strongestRows(unit);
    if (strongest.children.length === 0) {
      panel.append(element("p", {}, "The unit is active on none of the rows of this page."));
      return;
    }
    panel.append(element("h4", {}, "Strongest rows"), strongest);
    const random = rowsOf("random", unit);
    if (restsAtZero && random.length) {
      panel.append(element("h4", {}, "Rows drawn at random where it is active"), separated(random.map((row) => link(nameOf(row), () => openRow(row)))));
    }
    const nearest = [...part(units.nearest, unit, nUnits)];
    if (nearest.length) {
      const cosines = part(units.nearestCosines, unit, nUnits);
      const made = element("ul", { class: "bars" });
      nearest.forEach((other, place) => made.append(element("li", {},
        link(`${other}: ${title(other, 3)}`, () => openUnit(other)), element("span", {}, hundredths(cosines[place])))));
      panel.append(element("h4", {}, "Nearest units, by the cosine of the weights to the outputs"), made);
    }
    if (features) panel.append(element("h4", {}, "Largest weights from the features"), element("p", { class: "random" }, features[unit]));
    panel.append(element("h4", {}, "Activation"), histogram(unit));
  }

  function choose(unit) {
    items.forEach((item, number) => {
      const button = item.firstChild;
      if (button.getAttribute("aria-pressed") === "true" || number === unit) button.setAttribute("aria-pressed", String(number === unit));
      if (button.tabIndex === 0 || number === unit) button.tabIndex = number === unit ? 0 : -1;
    });
    showUnit(unit);
  }

  function sortUnits() {
    const key = document.getElementById("unit-sort").value;
    const reverse = document.getElementById("unit-reverse").checked;
    const order = [...items.keys()];
    if (key === "number") {
      if (reverse) order.reverse();
    } else {
      const value = (unit) => Number.isFinite(units[key][unit]) ? units[key][unit] : reverse ? Infinity : -Infinity;
      order.sort((one, other) => (reverse ? value(one) - value(other) : value(other) - value(one)) || one - other);
    }
    const shown = key === "density" ? (unit) => share(units.density[unit])
      : (unit) => key === "number" || key === "coherence"
        ? (Number.isFinite(units.coherence[unit]) ? units.coherence[unit].toFixed(2).replace("-", "−") : "–") : short(units[key][unit]);
    order.forEach((unit) => { items[unit].querySelector(".value").textContent = shown(unit); });
    list.append(...order.map((unit) => items[unit]));
    return order;
  }

  if (list) {
    for (let unit = 0; unit < nUnits; unit += 1) {
      const button = element("button", { type: "button", "aria-pressed": "false", tabindex: "-1" },
        element("span", { class: "number" }, String(unit)), element("span", { class: "of" }, title(unit, 5)), element("span", { class: "value" }));
      if (units.troubles[unit]) button.classList.add("troubled");
      items.push(element("li", { "data-unit": unit }, button));
    }
    const buttons = () => [...list.querySelectorAll("button")];
    list.addEventListener("click", (event) => {
      const item = event.target.closest("li");
      if (item) choose(Number(item.dataset.unit));
    });
    list.addEventListener("keydown", (event) => {
      const all = buttons();
      const at = all.indexOf(document.activeElement);
      const steps = { ArrowDown: 1, ArrowUp: -1, ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
      if (at < 0 || !(event.key in steps)) return;
      event.preventDefault();
      all[at].tabIndex = -1;
      const to = all[Math.min(Math.max(at + steps[event.key], 0), all.length - 1)];
      to.tabIndex = 0;
      to.focus();
    });
    const resort = () => {
      sortUnits();
      list.scrollTop = 0;
    };
    document.getElementById("unit-sort").addEventListener("change", resort);
    document.getElementById("unit-reverse").addEventListener("change", resort);
    choose(sortUnits()[0]);
    list.scrollTop = 0;
  }

  // ---- Rows

  const input = document.getElementById("row-input");
  const matches = document.getElementById("row-matches");
  const MOST_MATCHES = 20;
  let folded, repeated;
  let found = [];
  let selected = -1;

  const fold = (text) => text.normalize("NFKC").toLowerCase();

  function prepare() {
    if (folded) return;
    folded = names.map(fold);
    const seen = new Set();
    repeated = new Set();
    names.forEach((name) => (seen.has(name) ? repeated : seen).add(name));
  }

  // Equal names first, then those that begin with the text, then those that contain it; each in the order of the rows.
  function search(text) {
    prepare();
    const wanted = fold(text.trim());
    const groups = [[], [], []];
    if (wanted) {
      folded.forEach((name, row) => {
        const at = name.indexOf(wanted);
        if (at >= 0) groups[at > 0 ? 2 : name.length > wanted.length ? 1 : 0].push(row);
      });
    }
    return groups.flat();
  }

  function label(row) {
    return repeated?.has(names[row]) || names[row] === "" ? `${nameOf(row)} (row ${rowNumber(row)})` : nameOf(row);
  }

  function select(place) {
    selected = place;
    [...matches.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === place)));
    if (place >= 0) {
      input.setAttribute("aria-activedescendant", `match-${place}`);
      matches.children[place].scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  }

  function close() {
    matches.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function offer() {
    const all = search(input.value);
    found = all.slice(0, MOST_MATCHES);
    matches.replaceChildren(...found.map((row, place) => element("li", { id: `match-${place}`, role: "option", "aria-selected": "false" }, label(row))));
    matches.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(found.length > 0));
    document.getElementById("row-count").textContent = input.value.trim() === "" ? `${nRows.toLocaleString("en")} names`
      : all.length === 0 ? "no such name" : `${all.length.toLocaleString("en")} name${all.length === 1 ? "" : "s"}${all.length > MOST_MATCHES ? `, of which the first ${MOST_MATCHES} are listed` : ""}`;
    select(found.length ? 0 : -1);
  }

  function take(place) {
    if (!(place in found)) return;
    const row = found[place];
    input.value = names[row];
    close();
    showRow(row);
  }

  input.addEventListener("input", offer);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      close();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (matches.hidden) offer();
      take(selected);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (matches.hidden) offer();
      else if (found.length) select((selected + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length);
    }
  });
  input.addEventListener("blur", close);
  matches.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
  matches.addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (item) take([...matches.children].indexOf(item));
  });

  const slider = document.getElementById("row-k");
  let shownRow = 0;

  function showK() {
    const k = Number(slider.value);
    const shares = part(rows.shares, shownRow, nRows);
    const cosines = part(rows.cosines, shownRow, nRows);
    const text = `k = ${k}: explained share ${percent(shares[k - 1])}, cosine ${hundredths(cosines[k - 1])}`;
    document.getElementById("row-status").textContent = text;
    slider.setAttribute("aria-valuetext", text);
    [...document.getElementById("row-units").children].forEach((line, place) => line.classList.toggle("left-out", place >= k));
  }

  function showRow(row) {
    prepare();
    shownRow = row;
    const strongest = [...part(rows.units, row, nRows)].filter((unit) => unit < nUnits);
    const strengths = part(rows.strengths, row, nRows);
    const shares = part(rows.shares, row, nRows);
    const cosines = part(rows.cosines, row, nRows);
    document.getElementById("row-panel").hidden = false;
    document.getElementById("row-name").textContent = label(row);
    const active = `${rows.nActive[row].toLocaleString("en")} of ${nUnits.toLocaleString("en")} units are active. `;
    document.getElementById("row-summary").textContent =
      `${restsAtZero ? active : ""}All units explain ${percent(rows.shareOfAll[row])} of the row (cosine ${hundredths(rows.cosineOfAll[row])}).`;
    document.getElementById("row-units").replaceChildren(...strongest.map((unit, place) => {
      const level = strengths[place] / 255;
      return element("tr", {},
        element("th", { scope: "row" }, String(place + 1)),
        element("td", {}, link(`${unit}: ${title(unit, 3)}`, () => openUnit(unit))),
        element("td", {}, element("span", { class: "strength" }, element("span", {}, short(level * rows.largest[row])), bar(level))),
        element("td", {}, percent(shares[place])),
        element("td", {}, hundredths(cosines[place])));
    }));
    slider.max = String(Math.max(strongest.length, 1));
    slider.value = String(Math.min(5, Math.max(strongest.length, 1)));
    slider.disabled = strongest.length === 0;
    if (strongest.length) showK();
    else document.getElementById("row-status").textContent = "no unit is active";
  }

  slider.addEventListener("input", showK);

  function openRow(row) {
    showRow(row);
    input.value = names[row];
    document.getElementById("row-search").scrollIntoView({ block: "start" });
    input.focus({ preventScroll: true });
  }

  document.getElementById("row-count").textContent = `${nRows.toLocaleString("en")} names`;
  const first = list ? rowsOf("strongest", Number(list.firstChild.dataset.unit))[0] : undefined;
  showRow(first ?? 0);
}

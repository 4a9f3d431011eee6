// Switches views, sorts tables, draws charts in the theme's colours. Everything it needs lies in the page.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const form = document.querySelector(".controls");
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = localStorage.getItem("vesalius-theme"); } catch { /* a file opened from disk may have no storage */ }

  const dark = () => (chosen ?? (system.matches ? "dark" : "light")) === "dark";
  const view = (by) => form ? [...form.querySelectorAll("select")]
    .filter((select) => !by || by.includes(select.name)).map((select) => select.value).join("|") : "";

  // A narrow screen gets shorter labels, and text in cells only where it fits.
  function fitted(spec, width) {
    const narrow = width < 520;
    const config = structuredClone(data.themes[dark() ? "dark" : "light"]);
    const label = narrow ? Math.max(84, Math.round(width * 0.3)) : 240;
    config.axisY.labelLimit = label;
    if (narrow) {
      config.axis.labelFontSize = 10; config.axis.titleFontSize = 11; config.axis.tickCount = 5;
      Object.assign(config.legend, { labelFontSize: 10, titleFontSize: 10, gradientLength: 110, titleOrient: "top" });
    }
    const { columns, label: longest, cell } = spec.usermeta;
    if (columns) {
      const room = (width - (narrow ? label : 200) - 20) / columns;
      const size = Math.min(11.5, room / Math.max(1.5, 0.68 * cell));
      config.style.value.fontSize = size;
      if (cell > 1 && size < 6.5) config.style.value.opacity = 0;
      if (longest * (narrow ? 6 : 7) > room) config.axisX.labelAngle = room > 24 ? -45 : -90;
    }
    return { ...spec, width, autosize: { type: "fit-x", contains: "padding" }, config };
  }

  async function draw(element) {
    const spec = data.specs[element.dataset.chart];
    if (!spec) return;
    const style = getComputedStyle(element);
    const width = element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    element.dataset.width = element.clientWidth;
    const options = { actions: false, renderer: "svg", tooltip: { theme: dark() ? "dark" : "light" } };
    const drawn = await vegaEmbed(element, fitted(spec, Math.max(240, Math.floor(width))), options);
    // Whoever listens learns what was clicked on; a chart by itself does nothing with it.
    drawn.view.addEventListener("click", (_, item) => {
      if (item?.datum) element.dispatchEvent(new CustomEvent("pick", { bubbles: true, detail: item.datum }));
    });
  }

  // From top to bottom, one after the other; a newer call (another view, theme or width) takes over from an older one.
  let turn = 0;
  async function charts(all) {
    const mine = ++turn;
    const elements = [...document.querySelectorAll(".chart")];
    if (all) for (const element of elements) delete element.dataset.width;
    for (const element of elements) {
      if (mine !== turn) return;
      if (Number(element.dataset.width ?? 0) !== element.clientWidth) await draw(element);
    }
  }

  function paint() {
    root.dataset.theme = dark() ? "dark" : "light";
    charts(true);
  }

  function show() {
    for (const [name, allowed] of Object.entries(data.needs)) {
      const select = form.elements[name];
      const first = form.querySelector("select").value;
      for (const option of select.options) option.hidden = option.disabled = !allowed[first].includes(option.value);
      if (!allowed[first].includes(select.value)) select.value = allowed[first][0];
    }
    for (const [slot, views] of Object.entries(data.views)) {
      const element = document.querySelector(`[data-slot="${slot}"]`);
      const key = view(data.by[slot]);
      if (element.dataset.view === key) continue;
      element.dataset.view = key;
      // Keep the height while charts are drawn anew, so that the page does not jump.
      element.style.minHeight = `${element.offsetHeight}px`;
      element.innerHTML = views[key] ?? '<p class="quiet">Nothing to show for this choice.</p>';
      setTimeout(() => { element.style.minHeight = ""; }, 800);
    }
    charts(false);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("thead button");
    if (!button) return;
    const heading = button.closest("th");
    const body = heading.closest("table").tBodies[0];
    const index = [...heading.parentNode.children].indexOf(heading);
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = (row) => row.children[index].dataset.sort ?? "";
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? order : -order;
    });
    body.append(...rows);
  });

  document.getElementById("theme").addEventListener("click", () => {
    chosen = dark() ? "light" : "dark";
    try { localStorage.setItem("vesalius-theme", chosen); } catch { /* as above */ }
    paint();
  });
  system.addEventListener("change", paint);
  form?.addEventListener("change", show);
  form?.addEventListener("submit", (event) => event.preventDefault());
  let timer;
  addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(() => charts(false), 150); });
  // Paper is narrower than the screen, and charts that were never in sight are not drawn yet.
  addEventListener("beforeprint", () => document.querySelectorAll(".chart").forEach(draw));

  if (form) show(); else charts(true);
})();

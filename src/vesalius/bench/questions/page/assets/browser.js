// The browser of single questions, and classes of errors given by hand. Questions and answers are strangers' text: they
// become text nodes and nothing else. The index lies in the page; what one question needs comes as a script beside it.
(() => {
  const index = JSON.parse(document.getElementById("questions").textContent);
  const form = document.querySelector(".controls");
  const filters = document.querySelector(".filters");
  const list = document.querySelector(".list");
  const all = list.querySelector(".all");
  const article = document.querySelector(".question");
  const ROW = 58, UNKNOWN = 3, RIGHT = 1, KEPT = 60;
  const WRONG = (state) => (state & 3) === 0 || (state & 3) === 2;
  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const spoken = (status) => status.replaceAll("_", " ");

  const number = (text) => text.toLocaleString("en");
  const at = () => index.benchmarks.findIndex((b) => b.name === form.elements.benchmark.value);
  const current = () => index.benchmarks[at()];
  const chosen = () => current().models.indexOf(form.elements.model.value);
  const node = () => current().nodes.find((one) => one.name === form.elements.node.value) ?? current().nodes[0];
  const state = (b, model, i) => b.states[model].charCodeAt(i) - 48;
  const status = (value) => index.statuses[value >> 2];

  // What would steer a terminal or turn the direction of writing is shown by its code.
  function visible(text) {
    return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, (c) => String.fromCharCode(0x2400 + (c === "\u007f" ? 0x21 : c.charCodeAt(0))))
      .replace(/\r\n?/g, "\n")
      .replace(/[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/g, (c) => `[U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}]`);
  }
  function h(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes ?? {})) {
      if (value === undefined || value === null || value === false) continue;
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else element.setAttribute(key, value === true ? "" : value);
    }
    for (const child of children.flat()) if (child !== null && child !== undefined && child !== false) element.append(typeof child === "string" ? visible(child) : child);
    return element;
  }

  // --- classes by hand, kept by the browser

  const stores = new Map();
  function hand(b, model) {
    const key = `vesalius-classes|${b.stores[model]}`;
    if (!stores.has(key)) {
      let kept = {};
      try { kept = JSON.parse(localStorage.getItem(key) ?? "{}"); } catch { /* no storage: as long as the page is open */ }
      stores.set(key, kept);
    }
    return stores.get(key);
  }
  function classOf(b, model, i) {
    const own = hand(b, model)[b.ids[i]];
    if (own !== undefined) return own ? [own, "hand"] : null;
    return b.given[model]?.[i] ?? null;
  }
  function classify(b, model, i, name) {
    const kept = hand(b, model);
    kept[b.ids[i]] = name;
    if (!name && !b.given[model]?.[i]) delete kept[b.ids[i]];
    try { localStorage.setItem(`vesalius-classes|${b.stores[model]}`, JSON.stringify(kept)); } catch { /* as above */ }
    tabulate();
  }
  function byHand() {
    const rows = [];
    for (const b of index.benchmarks) b.models.forEach((model, m) => {
      const cases = new Set([...Object.keys(b.given[m] ?? {}).map(Number), ...Object.keys(hand(b, m)).map((id) => place(b, id))]);
      for (const i of [...cases].sort((x, y) => x - y)) {
        const found = i >= 0 && WRONG(state(b, m, i)) ? classOf(b, m, i) : null;
        if (found && found[1] === "hand") rows.push([b.name, model, b.ids[i], found[0]]);
      }
    });
    return rows;
  }
  function place(b, id) {
    b.places ??= new Map(b.ids.map((one, i) => [one, i]));
    return b.places.get(id) ?? -1;
  }
  function save() {
    const cell = (text) => /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    const lines = [["benchmark", "model", "case", "class"], ...byHand()].map((row) => row.map(cell).join(","));
    const url = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
    h("a", { href: url, download: "classes.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  // --- tables of classes

  const under = (b, where, i) => where.every(([column, value]) => b.codes[column][i] === value);
  function tabulate() {
    const b = current(), names = [...Object.keys(index.classes), null];
    const count = (model, where) => {
      const out = new Map(names.map((name) => [name, 0]));
      for (let i = 0; i < b.ids.length; i++) {
        if (!WRONG(state(b, model, i)) || !under(b, where, i)) continue;
        const name = classOf(b, model, i)?.[0] ?? null;
        out.set(name, out.get(name) + 1);
      }
      return out;
    };
    const table = (caption, first, rows) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      h("table", {}, h("caption", {}, caption),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, first), h("th", { scope: "col", class: "number" }, "wrong"),
          names.map((name) => h("th", { scope: "col", class: "number", title: name ? index.classes[name] : undefined }, name ?? "not classed")))),
        h("tbody", {}, rows.map(([label, counts]) => h("tr", {}, h("th", { scope: "row", class: "text" }, label),
          h("td", { class: "number" }, number([...counts.values()].reduce((x, y) => x + y, 0))),
          names.map((name) => h("td", { class: counts.get(name) ? "number" : "number quiet" }, number(counts.get(name)))))))));
    const here = node();
    const models = b.models.map((model, m) => [model, count(m, here.where)]);
    const inside = b.nodes.filter((one) => one.where.length > here.where.length && here.where.every(([c, v]) => one.where.some(([d, w]) => c === d && v === w)));
    const parts = inside.slice(0, 150).map((one) => [one.label, count(chosen(), one.where)]).filter(([, counts]) => [...counts.values()].some(Boolean));
    const rows = byHand().length;
    document.getElementById("class-tables").replaceChildren(
      table(`Why wrong answers are wrong: ${here.label}`, "model", models),
      parts.length ? table(`${b.models[chosen()]}, by part`, "part", parts) : "");
    for (const button of document.querySelectorAll(".save-classes")) {
      button.disabled = !rows;
      button.textContent = rows ? `Save classes.csv (${number(rows)} by hand)` : "Save classes.csv (none by hand yet)";
    }
  }

  // --- which questions

  let shown = [], selected = -1, words = null;
  const loading = new Map(), texts = new Map(), details = new Map();
  window.vesalius = {
    details: (n, items) => keep(details, n, items),
    words: (n, items) => texts.set(n, items.map((text) => text.toLowerCase())),
  };
  function keep(map, n, items) {
    map.delete(n);
    map.set(n, items);
    if (map.size > KEPT) map.delete(map.keys().next().value);
  }
  function load(name) {
    if (!loading.has(name)) loading.set(name, new Promise((done, failed) => {
      const script = h("script", { src: `browser/${name}.js` });
      script.onload = () => { script.remove(); loading.delete(name); done(); };
      script.onerror = () => { script.remove(); loading.delete(name); failed(new Error(`browser/${name}.js is not there: keep the folder «browser» beside this page.`)); };
      document.head.append(script);
    }));
    return loading.get(name);
  }
  const padded = (n) => String(n).padStart(4, "0");

  function wanted(b, i) {
    const show = filters.elements.show.value, whom = filters.elements.whom.value;
    const models = whom === "chosen" ? [chosen()] : b.models.keys();
    if (show === "all") return true;
    const test = (m) => {
      const s = state(b, m, i);
      if (show === "right") return (s & 3) === RIGHT;
      if (show === "wrong") return WRONG(s);
      if (show === "unclassed") return WRONG(s) && !classOf(b, m, i);
      if (show in index.classes) return WRONG(s) && classOf(b, m, i)?.[0] === show;
      return status(s) === show;
    };
    for (const m of models) {
      if (whom === "all" ? !test(m) : test(m)) return whom !== "all";
    }
    return whom === "all";
  }
  let turn = 0;
  async function filter(keepSelected = true) {
    const mine = ++turn;
    const b = current(), where = node().where, type = filters.elements.type.value, differ = filters.elements.differ.checked;
    const search = filters.elements.words.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const before = selected, rest = [];
    for (let i = 0; i < b.ids.length; i++) {
      if ((!differ || b.differ[i] === "1") && (type === "" || b.types[b.type[i]] === type) && under(b, where, i) && wanted(b, i)) rest.push(i);
    }
    if (search.length) {
      for (const [n] of b.words) if (!texts.has(n)) {
        say(`Loading words to search in …`);
        try { await load(`words-${padded(n)}`); } catch (error) { say(error.message); return; }
        if (mine !== turn) return;
      }
      shown = rest.filter((i) => { const text = wordsOf(b, i); return search.every((word) => text.includes(word)); });
    } else shown = rest;
    say(`${number(shown.length)} of ${number(b.ids.length)} questions`);
    list.scrollTop = 0;
    if (keepSelected && shown.includes(before)) select(before, false);
    else if (shown.length) select(shown[0], false);
    else { selected = -1; article.replaceChildren(h("p", { class: "quiet" }, "No question meets this choice.")); }
    rows();
  }
  function wordsOf(b, i) {
    const [n, first] = last(b.words, i);
    return texts.get(n)?.[i - first] ?? "";
  }
  function last(starts, i) {
    let low = 0, high = starts.length - 1;
    while (low < high) { const middle = (low + high + 1) >> 1; if (starts[middle][1] <= i) low = middle; else high = middle - 1; }
    return starts[low];
  }
  const say = (text) => { document.getElementById("count").textContent = text; };

  // --- the list: only what is in sight exists

  function mark(value) {
    const name = status(value), worth = value & 3;
    if (name === "not_asked") return ["·", "none", "not asked"];
    if (name === "no_medium") return ["–", "none", "no medium"];
    if (name !== "answered" && worth !== RIGHT) return [name === "failed" ? "!" : "?", "odd", spoken(name)];
    return [["✗", "✓", "≈", "–"][worth], ["wrong", "right", "wrong", "none"][worth], ["wrong", "right", "right in some repeats", "no known answer"][worth]];
  }
  function rows() {
    const b = current();
    all.style.height = `${shown.length * ROW}px`;
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 6), end = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW) + 12);
    const made = [];
    for (let row = first; row < end; row++) {
      const i = shown[row];
      const marks = b.models.map((model, m) => { const [sign, kind, what] = mark(state(b, m, i)); return h("span", { class: kind, title: `${model}: ${what}` }, sign); });
      made.push(h("div", { role: "option", id: `row-${row}`, "aria-selected": String(i === selected), "aria-posinset": row + 1, "aria-setsize": shown.length, style: `top:${row * ROW}px`, "data-case": i },
        h("span", { class: "top" }, h("b", {}, b.ids[i]), h("span", { class: "signs" }, marks)),
        h("span", { class: "first", dir: "auto" }, b.text[i] || "(no words)")));
    }
    all.replaceChildren(...made);
    const active = shown.indexOf(selected);
    if (active >= 0) list.setAttribute("aria-activedescendant", `row-${active}`); else list.removeAttribute("aria-activedescendant");
  }
  let waiting = false;
  list.addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; rows(); }); } }, { passive: true });
  list.addEventListener("click", (event) => { const row = event.target.closest("[data-case]"); if (row) select(Number(row.dataset.case)); });

  function select(i, link = true) {
    selected = i;
    const b = current(), row = shown.indexOf(i);
    if (row >= 0) {
      if (row * ROW < list.scrollTop) list.scrollTop = row * ROW;
      else if ((row + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (row + 1) * ROW - list.clientHeight;
    }
    if (link) history.replaceState(null, "", address(b, i));
    rows();
    open(b, i);
  }
  const address = (b, i) => `#q=${encodeURIComponent(b.name)}/${encodeURIComponent(b.ids[i])}`;
  function step(by) {
    if (!shown.length) return;
    const row = shown.indexOf(selected);
    select(shown[Math.min(shown.length - 1, Math.max(0, row < 0 ? 0 : row + by))]);
  }

  // --- one question

  async function open(b, i) {
    const [n, first] = last(b.shards, i);
    if (!details.has(n)) {
      article.setAttribute("aria-busy", "true");
      try { await load(padded(n)); } catch (error) { article.replaceChildren(h("p", { class: "warn" }, error.message)); }
      article.removeAttribute("aria-busy");
      if (b !== current() || i !== selected || !details.has(n)) return;
    }
    const one = details.get(n)[i - first];
    keep(details, n, details.get(n));
    article.setAttribute("aria-label", `Question ${b.ids[i]}`);
    article.replaceChildren(head(b, i, one), media(one), h("p", { class: "asked words", dir: "auto" }, one.q), options(b, one), ...answers(b, i, one), more(one));
    article.scrollTop = 0;
  }
  function head(b, i, one) {
    const row = shown.indexOf(i);
    const deepest = b.nodes.filter((part) => part.tree && under(b, part.where, i)).at(-1);
    const button = (text, label, by, off) => h("button", { type: "button", class: "plain", "aria-label": label, disabled: off, onclick: () => step(by) }, text);
    return h("div", { class: "head" }, h("span", {}, h("a", { href: address(b, i), title: "Link to this question" }, `${b.name} / ${one.id}`), ` · ${spoken(one.type)}${deepest?.where.length ? ` · ${deepest.label}` : ""}`),
      h("span", { class: "steps" }, button("←", "Previous question", -1, row <= 0), button("→", "Next question", 1, row < 0 || row >= shown.length - 1)));
  }
  function media(one) {
    if (!one.media.length) return "";
    return h("div", { class: "media" }, one.media.map((part, k) => part.said ? h("p", {}, part.said)
      : h("img", { src: `browser/media/${part.src}`, width: part.width, height: part.height, loading: "lazy", alt: `Image ${k + 1} of question ${one.id}` })));
  }
  function options(b, one) {
    const list = one.options.length ? one.options : one.type === "yes_no" ? ["yes", "no"] : [];
    if (!list.length) return one.truth === null ? h("p", { class: "quiet" }, "No known answer.") : h("p", { class: "words", dir: "auto" }, h("span", { class: "truth-says" }, "Expected: "), one.truth);
    const letters = list.map((text, k) => one.options.length ? LETTERS[k] : text);
    const right = new Set((one.truth ?? "").split(",").map((part) => one.options.length ? part.trim() : part.trim().toLowerCase().replace(/\.$/, "")));
    return h("ol", { class: "options" }, list.map((text, k) => {
      const who = one.models.filter((m) => m.askings[0].choice.split(",").includes(letters[k]));
      const truth = right.has(letters[k]);
      return h("li", { class: truth ? "truth" : undefined }, one.options.length ? h("span", { class: "letter" }, LETTERS[k]) : h("span", {}),
        h("span", { class: "words", dir: "auto" }, text, truth ? h("span", { class: "truth-says" }, "  ✓ right answer") : null),
        h("span", { class: "who" }, who.map((m) => h("span", { class: `chip ${truth ? "right" : one.truth === null ? "none" : "wrong"}` }, b.models[m.model]))));
    }));
  }
  const worth = (asking) => asking.correct === null ? "" : asking.correct === 1 ? "right" : asking.correct === 0 ? "wrong" : `${(100 * asking.correct).toFixed(0)} %`;
  function verdict(asking) {
    const odd = asking.status !== "answered";
    const said = [odd ? spoken(asking.status) : "", worth(asking)].filter(Boolean);
    return h("span", { class: asking.correct === 1 ? "right" : odd || asking.correct !== null ? "wrong" : "none" }, asking.correct === 1 ? `✓ ${said.join(", ")}` : asking.correct !== null ? `✗ ${said.join(", counted as ")}` : said.join(", ") || "not judged");
  }
  function raw(asking) {
    const cut = 700, text = asking.answer, pre = h("pre", { class: "raw words", dir: "auto", tabindex: text.length > cut ? "0" : undefined });
    const full = asking.length ?? text.length;
    if (text.length <= cut) { pre.append(visible(text)); return [pre]; }
    pre.append(visible(text.slice(0, cut)) + " …");
    const button = h("button", { type: "button", class: "plain", "aria-expanded": "false", onclick: () => {
      pre.textContent = visible(text) + (asking.length ? `\n[the first ${number(text.length)} of ${number(full)} characters]` : "");
      button.remove();
      pre.focus();
    } }, `Show all ${number(full)} characters`);
    return [pre, button];
  }
  function how(asking) {
    const parts = [asking.choice ? `read as ${asking.choice.length > 80 ? asking.choice.slice(0, 79) + "…" : asking.choice}` : "nothing read", asking.rule && `(${asking.rule})`];
    if (asking.conflict) parts.push("· the letter and the words after it name different options");
    if (asking.attempts > 1) parts.push(`· asked ${asking.attempts} times`);
    if (asking.attempts === 0) parts.push("· never asked");
    if (asking.tokens) parts.push(`· ${number(asking.tokens)} tokens`);
    if (asking.seconds) parts.push(`· ${asking.seconds.toPrecision(2)} s`);
    return h("p", { class: "how" }, parts.filter(Boolean).join(" "));
  }
  function answers(b, i, one) {
    const mine = chosen();
    const order = [...one.models].sort((x, y) => (y.model === mine) - (x.model === mine));
    return order.map((found) => {
      const [first, ...others] = found.askings, m = found.model;
      return h("section", { class: "answer-of", "aria-label": `Answer of ${b.models[m]}` },
        h("h4", {}, b.models[m], verdict(first)), how(first), raw(first),
        WRONG(state(b, m, i)) ? classing(b, m, i) : null,
        others.length ? h("details", {}, h("summary", {}, `${others.length} more ${others.length === 1 ? "asking" : "askings"} (other orders of the options, repeats)`),
          h("div", { class: "scroll" }, h("table", { class: "askings" }, h("thead", {}, h("tr", {}, ["options turned by", "repeat", "read as", "", "answer"].map((text) => h("th", { scope: "col" }, text)))),
            h("tbody", {}, others.map((asking) => h("tr", {}, h("td", {}, String(asking.rotation ?? 0)), h("td", {}, String(asking.repeat ?? 0)), h("td", { class: "text" }, asking.choice.slice(0, 80) || "–"), h("td", {}, verdict(asking)),
              h("td", { class: "text", dir: "auto" }, asking.answer.length > 160 ? `${asking.answer.slice(0, 160)}…` : asking.answer))))))) : null);
    });
  }
  function classing(b, m, i) {
    const field = h("fieldset", { class: "classing" }, h("legend", {}, "Why wrong?"));
    const by = h("span", { class: "hint", style: "display:inline" });
    const paint = () => {
      const found = classOf(b, m, i);
      for (const button of field.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.class === found?.[0]));
      by.textContent = found ? `by ${found[1]}` : "";
    };
    for (const [name, what] of Object.entries(index.classes)) {
      field.append(h("button", { type: "button", class: "plain", title: what, "data-class": name, onclick: () => { classify(b, m, i, classOf(b, m, i)?.[0] === name ? "" : name); paint(); } }, name));
    }
    field.append(by);
    paint();
    return field;
  }
  function more(one) {
    const prompts = one.prompts.map((text, k) => {
      const who = one.models.filter((m) => m.prompt === k).map((m) => current().models[m.model]);
      return h("details", {}, h("summary", {}, one.prompts.length > 1 ? `Exact prompt to ${who.join(", ")}` : "Exact prompt"), h("pre", { class: "raw words", dir: "auto" }, text));
    });
    const facts = Object.entries(one.metadata);
    return h("div", { class: "answer-of" }, prompts, facts.length ? h("details", {}, h("summary", {}, "Metadata"),
      h("dl", { class: "facts" }, facts.map(([key, value]) => [h("dt", {}, key), h("dd", { class: "words", dir: "auto" }, value)]))) : null);
  }

  // --- what moves it

  function choose(changes) {
    let moved = false;
    for (const [name, value] of Object.entries(changes)) {
      const select = form.elements[name];
      const option = [...select.options].find((one) => one.value === value);
      if (option && select.value !== value) { select.value = value; moved = true; }
    }
    if (moved) form.dispatchEvent(new Event("change"));
  }
  function types() {
    const select = filters.elements.type, before = select.value;
    select.replaceChildren(h("option", { value: "" }, "all"), ...current().types.map((type) => h("option", { value: type }, spoken(type))));
    select.value = current().types.includes(before) ? before : "";
  }
  function follow() {
    const found = /^#q=([^/]*)\/(.*)$/.exec(location.hash);
    if (!found) return false;
    let name, id;
    try { [name, id] = [decodeURIComponent(found[1]), decodeURIComponent(found[2])]; } catch { return false; }
    const b = index.benchmarks.find((one) => one.name === name);
    const i = b ? place(b, id) : -1;
    if (i < 0) return false;
    linking = true;
    choose({ benchmark: name, node: "all" });
    linking = false;
    filters.reset();
    types();
    filter(false).then(() => { select(i); document.getElementById("browser").scrollIntoView(); });
    return true;
  }
  let linking = false;
  form.addEventListener("change", () => { if (!linking) { types(); filter(); tabulate(); } else tabulate(); });
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("change", (event) => { if (event.target.name !== "words") filter(); });
  let timer;
  filters.elements.words.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 250); });
  addEventListener("hashchange", follow);
  addEventListener("resize", rows);
  document.addEventListener("pick", (event) => { if (event.detail.node) choose({ node: event.detail.node }); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-node], [data-benchmark]");
    if (link?.dataset.node) choose({ node: link.dataset.node });
    if (link?.dataset.benchmark) choose({ benchmark: link.dataset.benchmark });
    if (event.target.closest(".save-classes")) save();
  });
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const box = document.getElementById("browser").getBoundingClientRect();
    if (box.top > innerHeight * 0.8 || box.bottom < innerHeight * 0.2) return;
    const inList = event.target === list, page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
    const by = { j: 1, k: -1, ...(inList ? { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity } : {}) }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    step(by);
  });

  types();
  tabulate();
  if (!follow()) filter();
})();

// Lists beside the volume: objects, prompts, what the model said. Builds elements from the server's words, as text only.

const ICONS = {
  eye: '<path d="M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8Z"/><circle cx="8" cy="8" r="2"/>',
  hidden: '<path d="M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8Z"/><path d="M2.5 13.5l11-11"/>',
  locked: '<rect x="3" y="7" width="10" height="7" rx="1.5"/><path d="M5 7V5a3 3 0 0 1 6 0v2"/>',
  unlocked: '<rect x="3" y="7" width="10" height="7" rx="1.5"/><path d="M5 7V5a3 3 0 0 1 5.8-1"/>',
  remove: '<path d="M4 4l8 8M12 4l-8 8"/>',
};

function make(name, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(name), attributes);
  element.append(...children);
  return element;
}

function icon(name, label, onclick) {
  const button = make("button", { type: "button", className: `icon ${name}`, title: label, onclick });
  button.setAttribute("aria-label", label);
  button.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true">${ICONS[name]}</svg>`;
  return button;
}

// One row an object: colour, name, volume, eye, lock, delete.
export function objects(list, all, chosen, hidden, on) {
  const rows = all.map((o) => {
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = o.colour;
    const name = make("input", { value: o.name, maxLength: 64, ariaLabel: `Name of ${o.name}` });
    name.onfocus = () => { if (o.label !== chosen) on.choose(o.label); };
    name.onchange = () => on.rename(o.label, name.value.trim() || o.name);
    name.onkeydown = (event) => { if (event.key === "Enter") name.blur(); };
    const size = make("span", { className: "size quiet" }, o.voxels ? `${o.ml < 10 ? o.ml.toFixed(1) : Math.round(o.ml)} ml` : "empty");
    const row = make("li", { className: o.label === chosen ? "chosen" : "" }, swatch, name, size,
      hidden.has(o.label) ? icon("hidden", `Show ${o.name}`, () => on.look(o.label)) : icon("eye", `Hide ${o.name}`, () => on.look(o.label)),
      o.locked ? icon("locked", `Unlock ${o.name}`, () => on.lock(o.label, false)) : icon("unlocked", `Lock ${o.name}: finished`, () => on.lock(o.label, true)),
      icon("remove", `Delete ${o.name}`, () => on.remove(o.label)));
    row.onclick = (event) => { if (!event.target.closest("button, input")) on.choose(o.label); };
    return row;
  });
  list.replaceChildren(...(rows.length ? rows : [make("li", { className: "quiet none" }, "None yet: click on a structure.")]));
}

// One line a prompt, in mm and voxels.
export function prompts(list, object, on) {
  list.replaceChildren(...object.prompts.map((p) => {
    const sign = p.at.length === 6 ? "▢" : p.positive ? "+" : "−";
    const where = make("button", { type: "button", className: "text", title: "Go there", onclick: () => on.look(p) },
      make("b", { className: p.positive ? "plus" : "minus" }, sign),
      ` ${p.at.slice(0, 3).map((x) => x.toFixed(0)).join(", ")}${p.at.length === 6 ? ` to ${p.at.slice(3).map((x) => x.toFixed(0)).join(", ")}` : ""} mm`);
    const voxel = make("span", { className: "quiet" }, p.at.length === 3 ? `voxel ${p.voxel.join(", ")}` : "");
    return make("li", {}, where, voxel, ...(object.locked ? [] : [icon("remove", "Delete this prompt", () => on.remove(p))]));
  }));
}

// The model's confidence, who answered, and its notes.
export function said(line, notes, object) {
  const words = [];
  if (object.confidence !== null) words.push(`confidence ${Math.round(100 * object.confidence)} %`);
  const who = Object.entries(object.experts).sort((a, b) => b[1] - a[1]);
  if (who.length) words.push(who.map(([name, weight]) => `${name} ${Math.round(100 * weight)} %`).join(", "));
  if (object.locked) words.push("locked: its voxels stay");
  line.textContent = words.join(" · ");
  notes.replaceChildren(...object.notes.map((note) => make("li", {}, note)));
}

// The page: what clicks mean, lists and settings. Leaves slices to viewer.js, requests to server.js, lists to panel.js.
import * as server from "./server.js";
import { objects, prompts, said } from "./panel.js";
import { NORMAL, Viewer } from "./viewer.js";

const $ = (id) => document.getElementById(id);
const viewer = new Viewer($("canvas"), $("marks"));
const WINDOWS = { "soft tissue": [-160, 240], lung: [-1350, 150], bone: [-500, 1300], brain: [0, 80] };
const TOOLS = ["add", "remove", "box", "look"];
const page = { info: null, state: { objects: [] }, chosen: null, hidden: new Set(), shown: true, tool: "add", plane: "all" };
let drag = null;

// One request after the other, in the order in which things were done.
let last = Promise.resolve();
let waiting = 0;
function queue(work) {
  waiting += 1;
  const timer = setTimeout(() => { $("busy").hidden = false; }, 250);
  last = last.then(work).then(() => error(""), (e) => error(e.message)).finally(() => {
    clearTimeout(timer);
    waiting -= 1;
    if (!waiting) $("busy").hidden = true;
    document.body.dataset.waiting = waiting;
  });
  document.body.dataset.waiting = waiting;
  return last;
}

function error(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

// What the server says of the objects, and the mask that goes with it.
async function show(state) {
  page.state = state;
  // The one edited last; of an initial mask none, so that a first click makes an object of its own.
  const edited = state.objects.filter((o) => o.edited >= 0).sort((a, b) => b.edited - a.edited);
  if (!state.objects.some((o) => o.label === page.chosen)) page.chosen = edited[0]?.label ?? null;
  const mask = await server.mask();
  colour();
  viewer.mask(mask);
  panel();
}
const act = (entry) => queue(async () => show(await server.act(entry)));
const undo = () => queue(async () => show(await server.undo()));
const redo = () => queue(async () => show(await server.redo()));

async function add() {
  const state = await server.act({ do: "add", object: 0 });
  page.chosen = state.objects.at(-1).label;
  return state;
}

// A prompt goes to the chosen object; the first one makes one.
function prompt(at, positive) {
  return queue(async () => {
    if (page.chosen === null) await show(await add());
    await show(await server.act({ do: "prompt", object: page.chosen, at, positive }));
  });
}

const chosen = () => page.state.objects.find((o) => o.label === page.chosen);
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

function colour() {
  viewer.colours(page.state.objects.map((o) => (page.shown && !page.hidden.has(o.label) ? rgb(o.colour) : null)));
}

function panel() {
  objects($("objects"), page.state.objects, page.chosen, page.hidden, {
    choose(label) { page.chosen = label; panel(); },
    look(label) {
      if (!page.hidden.delete(label)) page.hidden.add(label);
      colour();
      panel();
    },
    rename: (label, name) => act({ do: "rename", object: label, name }),
    lock: (label, locked) => act({ do: "lock", object: label, locked }),
    remove: (label) => act({ do: "delete", object: label }),
  });
  const object = chosen();
  $("object").hidden = !object;
  if (object) {
    $("object-title").textContent = object.name;
    said($("said"), $("notes"), object);
    prompts($("prompts"), object, {
      look: (p) => viewer.look(viewer.voxel(middle(p.at))),
      remove: (p) => act({ do: "remove", object: object.label, prompt: p.number }),
    });
    choices(object);
  }
  $("undo").disabled = !page.state.can_undo;
  $("redo").disabled = !page.state.can_redo;
  marks();
}

// Which organ and which expert, where the model has them.
function choices(object) {
  const { organs, experts } = page.info.model;
  const choice = (what, known, none) => {
    const row = document.createElement("label");
    row.className = "row";
    const select = document.createElement("select");
    select.name = what;
    select.append(new Option(none, ""), ...known.map((name) => new Option(name.replaceAll("_", " "), name)));
    select.value = object[what];
    select.disabled = object.locked;
    select.onchange = () => act({ do: "ask", object: object.label, organ: object.organ, expert: object.expert, [what]: select.value });
    row.append(what[0].toUpperCase() + what.slice(1), select);
    return row;
  };
  $("choices").replaceChildren(
    ...(organs.length ? [choice("organ", organs, "by clicks alone")] : []),
    ...(experts.length ? [choice("expert", experts, "as the model chooses")] : []),
  );
}

const middle = (at) => (at.length === 3 ? at : [0, 1, 2].map((i) => (at[i] + at[i + 3]) / 2));

function marks() {
  const object = chosen();
  const list = (object && page.shown ? object.prompts : []).map((p) => ({
    ...p,
    voxels: p.at.length === 3 ? [viewer.voxel(p.at)] : ordered(viewer.voxel(p.at.slice(0, 3)), viewer.voxel(p.at.slice(3))),
  }));
  if (drag?.to) list.push({ positive: true, voxels: ordered(drag.from.voxel, drag.to.voxel) });
  viewer.marks(list);
}

const ordered = (a, b) => [a.map((v, i) => Math.min(v, b[i])), a.map((v, i) => Math.max(v, b[i]))];

// Where the cross is, in mm and in the file's own voxels.
function status() {
  if (!viewer.image) return;
  const voxel = viewer.cross();
  const mm = viewer.mm(voxel);
  const own = fileVoxel(mm);
  const value = viewer.value(voxel);
  const unit = page.info.image.ct ? " HU" : "";
  $("status").textContent =
    `${mm.map((x) => x.toFixed(1)).join(", ")} mm · voxel ${own.join(", ")} · ${Number(value.toPrecision(5))}${unit}`;
  const plane = ["axial", "coronal", "sagittal"].indexOf(page.plane);
  $("slider").classList.toggle("idle", plane < 0);
  if (plane >= 0) {
    const input = $("slider").querySelector("input");
    input.max = viewer.size[NORMAL[plane]] - 1;
    input.value = voxel[NORMAL[plane]];
    $("slider-name").textContent = `${voxel[NORMAL[plane]] + 1} / ${viewer.size[NORMAL[plane]]}`;
  }
  marks();
}

// The file's axes may run otherwise than the page's: its voxel comes from its own affine.
function fileVoxel(mm) {
  const [[a, b, c, x], [d, e, f, y], [g, h, i, z]] = page.info.image.affine;
  const [p, q, r] = [mm[0] - x, mm[1] - y, mm[2] - z];
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  return [
    (p * (e * i - f * h) - b * (q * i - f * r) + c * (q * h - e * r)) / det,
    (a * (q * i - f * r) - p * (d * i - f * g) + c * (d * r - q * g)) / det,
    (a * (e * r - q * h) - b * (d * r - q * g) + p * (d * h - e * g)) / det,
  ].map((v) => Math.round(v));
}

function tool(name) {
  page.tool = name;
  for (const b of $("tools").children) b.setAttribute("aria-checked", b.dataset.tool === name);
  $("frame").dataset.tool = name;
}

function plane(name) {
  page.plane = name;
  for (const b of $("planes").children) b.setAttribute("aria-checked", b.dataset.plane === name);
  viewer.plane(name);
  status();
}

// --- clicks on the volume -------------------------------------------------------------------------------------------
const frame = $("frame");
// NiiVue would move the cross while a box is dragged.
for (const kind of ["mousedown", "touchstart"]) {
  frame.addEventListener(kind, (event) => { if (page.tool === "box") event.stopPropagation(); }, { capture: true });
}
frame.addEventListener("contextmenu", (event) => event.preventDefault());
frame.addEventListener("pointerdown", (event) => {
  const found = viewer.image && viewer.under(event);
  drag = found ? { from: found, x: event.clientX, y: event.clientY, button: event.button } : null;
  if (drag && page.tool === "box") frame.setPointerCapture(event.pointerId);
});
frame.addEventListener("pointermove", (event) => {
  if (!drag || page.tool !== "box") return;
  const to = viewer.under(event);
  if (to?.plane === drag.from.plane) {
    drag.to = deep(drag.from, to);
    marks();
  }
});
frame.addEventListener("pointerup", (event) => {
  const done = drag;
  drag = null;
  if (!done || page.tool === "look") return;
  if (page.tool === "box") {
    if (done.to) prompt(box(done.from.voxel, done.to.voxel), true);
    marks();
    return;
  }
  if (Math.hypot(event.clientX - done.x, event.clientY - done.y) > 4) return; // the cross was dragged
  const positive = page.tool === "add" && done.button === 0 && !event.shiftKey;
  viewer.look(done.from.voxel);
  prompt(viewer.mm(done.from.voxel), positive);
});

// A box drawn on a slice is as deep as it is wide: its other corner lies before and behind the slice.
function deep(from, to) {
  const across = NORMAL[from.plane];
  const ends = ordered(from.voxel, to.voxel);
  const steps = [0, 1, 2].map((i) => Math.hypot(...viewer.mm(unit(i)).map((x, k) => x - viewer.mm([0, 0, 0])[k])));
  const width = [0, 1, 2].filter((i) => i !== across).map((i) => (ends[1][i] - ends[0][i]) * steps[i]);
  const half = Math.round((width[0] + width[1]) / 4 / steps[across]);
  const slice = drag.slice ??= from.voxel[across];
  const limit = viewer.size[across] - 1;
  from.voxel[across] = Math.max(0, slice - half);
  const far = [...to.voxel];
  far[across] = Math.min(limit, slice + half);
  return { voxel: far, plane: to.plane };
}
const unit = (axis) => [0, 1, 2].map((i) => Number(i === axis));

// Lower and upper corner in mm; the axes of an oblique volume may run against the patient's.
function box(a, b) {
  const [low, high] = ordered(viewer.mm(a), viewer.mm(b));
  return [...low, ...high];
}

// --- controls -------------------------------------------------------------------------------------------------------
function controls() {
  for (const b of $("tools").children) b.onclick = () => tool(b.dataset.tool);
  for (const b of $("planes").children) b.onclick = () => plane(b.dataset.plane);
  $("undo").onclick = undo;
  $("redo").onclick = redo;
  $("new").onclick = () => queue(async () => show(await add()));
  $("opacity").oninput = () => viewer.opacity(Number($("opacity").value));
  $("slider").querySelector("input").oninput = (event) => {
    const axis = NORMAL[["axial", "coronal", "sagittal"].indexOf(page.plane)];
    viewer.step(axis, Number(event.target.value) - viewer.cross()[axis]);
  };
  $("help-open").onclick = () => $("help").showModal();
  $("theme").onclick = () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try { localStorage.setItem("vesalius-theme", theme); } catch { /* no storage */ }
  };
  const save = (form) => queue(async () => { $("saved").textContent = `Saved: ${(await server.save(form)).path}`; });
  $("save-nifti").onclick = () => save("nifti");
  $("save-dicom").onclick = () => save("dicom-seg");
  $("save-dicom").disabled = Boolean(page.info.no_dicom);
  $("save-dicom").title = page.info.no_dicom;
  if (page.info.no_dicom) $("saved").textContent = `${page.info.no_dicom}.`;

  const [low, high] = page.info.image.range;
  const windows = page.info.image.ct ? { ...WINDOWS, "whole range": [low, high] } : { "1–99.5 %": [low, high] };
  $("window").append(...Object.keys(windows).map((name) => new Option(name)));
  $("window").onchange = () => viewer.window(...windows[$("window").value]);
  viewer.window(...Object.values(windows)[0]);
  document.addEventListener("keydown", key);
}

function key(event) {
  if (event.target.matches("input:not([type=range]), select") || $("help").open) return;
  const pressed = event.key.toLowerCase();
  const command = event.ctrlKey || event.metaKey;
  const axis = NORMAL[Math.max(0, ["axial", "coronal", "sagittal"].indexOf(page.plane))];
  const keys = command
    ? { z: event.shiftKey ? redo : undo, y: redo, s: () => $("save-nifti").click() }
    : {
      a: () => tool("add"), r: () => tool("remove"), b: () => tool("box"), l: () => tool("look"),
      1: () => plane("all"), 2: () => plane("axial"), 3: () => plane("coronal"), 4: () => plane("sagittal"),
      5: () => plane("render"), n: () => $("new").click(), "?": () => $("help").showModal(),
      h() { page.shown = !page.shown; colour(); marks(); },
      arrowup: () => viewer.step(axis, 1), arrowdown: () => viewer.step(axis, -1),
      "+": () => viewer.zoom(1.3), "=": () => viewer.zoom(1.3), "-": () => viewer.zoom(1 / 1.3), 0: () => viewer.zoom(0),
    };
  if (!keys[pressed]) return;
  event.preventDefault();
  event.stopPropagation();
  keys[pressed]();
}

async function start() {
  page.info = await server.info();
  const { image, model, out } = page.info;
  document.title = `${image.name} · Vesalius`;
  $("title").textContent = image.name;
  $("about").textContent = `${image.shape.join(" × ")} · ${image.spacing.map((s) => Number(s.toFixed(2))).join(" × ")} mm · ${model.name} · ${out}/`;
  $("hint").textContent = "Loading the volume";
  await viewer.open(await server.volume(), image.name);
  $("hint").textContent = "";
  controls();
  viewer.onMove(status);
  viewer.opacity(Number($("opacity").value));
  tool(TOOLS[0]);
  plane(innerWidth < 720 ? "axial" : "all");
  await queue(() => show(page.info));
  document.body.dataset.ready = "yes";
}

start().catch((e) => { $("hint").textContent = ""; error(e.message); });

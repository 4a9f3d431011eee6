// What the page asks of its server. The token stands in the address behind #, where it is sent to nobody.
const token = location.hash.slice(1);

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(`./api/${path}`, { ...options, headers: { "X-Token": token, ...options.headers } });
  } catch {
    throw new Error("the server does not answer — start vesalius view again");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw new Error(said.error ?? `the server failed (${response.status}); what it printed says more`);
}

const post = async (path, body = {}) =>
  (await ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json();

export const info = async () => (await ask("info")).json();
export const volume = async () => (await ask("volume")).arrayBuffer();
export const act = (entry) => post("act", entry);
export const undo = () => post("undo");
export const redo = () => post("redo");
export const save = (form) => post("save", { form });

// The mask's box (lower corner and size in voxels) and the places of objects in it, x fastest.
export async function mask() {
  const response = await ask("mask");
  return { box: response.headers.get("X-Box").split(",").map(Number), voxels: new Uint8Array(await response.arrayBuffer()) };
}

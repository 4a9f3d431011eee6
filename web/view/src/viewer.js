// The volume on the canvas: slices, window, mask, marks of prompts. Knows NiiVue; leaves what a click means to main.js.
//
// The server hands out volume and mask with axes to right, front and head, which is the order NiiVue holds voxels in, so
// that a mask is NiiVue's drawing as it comes. Places are RAS mm everywhere else.
import { DRAG_MODE, NVImage, Niivue, SHOW_RENDER, SLICE_TYPE } from "@niivue/niivue";

const PLANES = {
  all: SLICE_TYPE.MULTIPLANAR, axial: SLICE_TYPE.AXIAL, coronal: SLICE_TYPE.CORONAL, sagittal: SLICE_TYPE.SAGITTAL,
  render: SLICE_TYPE.RENDER,
};
export const NORMAL = [2, 1, 0]; // the axis across an axial, coronal, sagittal slice
const SVG = "http://www.w3.org/2000/svg";

export class Viewer {
  constructor(canvas, marks) {
    this.canvas = canvas;
    this.svg = marks;
    this.listeners = [];
    this.nv = new Niivue({
      backColor: [0.043, 0.055, 0.075, 1], crosshairColor: [0.42, 0.71, 0.96, 0.75], crosshairWidth: 0.15,
      crosshairWidthUnit: "percent", crosshairGap: 2, isColorbar: false, isRadiologicalConvention: true,
      isOrientationTextVisible: true, fontColor: [0.6, 0.66, 0.73, 1], fontMinPx: 11, fontSizeScaling: 0.3,
      dragMode: DRAG_MODE.none, dragAndDropEnabled: false, isNearestInterpolation: false,
      multiplanarShowRender: SHOW_RENDER.NEVER,
      viewModeHotKey: "", clipPlaneHotKey: "", cycleClipPlaneHotKey: "", loadingText: "", logLevel: "error",
      show3Dcrosshair: true, sagittalNoseLeft: true,
    });
    this.nv.onLocationChange = () => this.moved();
  }

  async open(buffer, name) {
    await this.nv.attachToCanvas(this.canvas);
    const image = await NVImage.new(new Uint8Array(buffer).buffer, `${name}.nii`, "gray", 1.0);
    this.nv.addVolume(image);
    this.image = image;
    this.size = image.dimsRAS.slice(1, 4);
    this.nv.createEmptyDrawing();
    new ResizeObserver(() => requestAnimationFrame(() => this.fit())).observe(this.canvas);
    this.moved();
  }

  // Calls back whenever the cross, the slice or the zoom has changed.
  onMove(listener) { this.listeners.push(listener); }
  moved() { for (const listener of this.listeners) listener(); }

  redraw() { this.nv.drawScene(); this.moved(); }

  plane(name) {
    this.current = name;
    this.nv.setSliceType(PLANES[name]);
    this.fit();
  }

  // Three planes: the axial one large, the others beside it or, where the canvas is high, below it.
  fit() {
    const wide = this.canvas.clientWidth > this.canvas.clientHeight;
    const tiles = wide
      ? [[0, 0, 0.62, 1], [0.62, 0, 0.38, 0.5], [0.62, 0.5, 0.38, 0.5]]
      : [[0, 0, 1, 0.56], [0, 0.56, 0.5, 0.44], [0.5, 0.56, 0.5, 0.44]];
    if (this.current === "all") this.nv.setCustomLayout(tiles.map((position, sliceType) => ({ sliceType, position })));
    else this.nv.clearCustomLayout();
    this.moved();
  }

  window(low, high) {
    this.image.cal_min = low;
    this.image.cal_max = high;
    this.nv.updateGLVolume();
  }

  // Voxel (axes as the server's) under a point of the page, and the plane it was found on; null outside slices.
  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const at = [(event.clientX - box.left) * this.nv.uiData.dpr, (event.clientY - box.top) * this.nv.uiData.dpr];
    const frac = this.nv.canvasPos2frac(at);
    if (frac[0] < 0) return null;
    const inside = ([l, t, w, h]) => at[0] >= Math.min(l, l + w) && at[0] <= Math.max(l, l + w) && at[1] >= t && at[1] <= t + h;
    const tile = this.nv.screenSlices.find((s) => s.axCorSag <= 2 && inside(s.leftTopWidthHeight));
    return tile ? { voxel: this.voxelOf(frac), plane: tile.axCorSag } : null;
  }

  voxelOf(frac) { return this.size.map((n, i) => Math.min(n - 1, Math.max(0, Math.floor(frac[i] * n)))); }
  fracOf(voxel) { return voxel.map((v, i) => (v + 0.5) / this.size[i]); }

  // RAS mm of a voxel's centre, and back.
  mm(voxel) {
    const m = this.image.matRAS; // rows after each other
    return [0, 1, 2].map((r) => m[4 * r] * voxel[0] + m[4 * r + 1] * voxel[1] + m[4 * r + 2] * voxel[2] + m[4 * r + 3]);
  }
  voxel(mm) { return this.voxelOf(this.nv.mm2frac(mm, 0, true)); }

  cross() { return this.voxelOf(this.nv.scene.crosshairPos); }
  look(voxel) {
    this.nv.scene.crosshairPos = this.fracOf(voxel);
    this.redraw();
  }
  step(axis, by) {
    const voxel = this.cross();
    voxel[axis] = Math.min(this.size[axis] - 1, Math.max(0, voxel[axis] + by));
    this.look(voxel);
  }
  value(voxel) { return this.image.getValue(...voxel); }

  // Larger or smaller around the cross; 0 shows the whole.
  zoom(by) {
    const [x, y, z, now] = this.nv.scene.pan2Dxyzmm;
    const next = by ? Math.min(12, Math.max(1, now * by)) : 1;
    const at = this.nv.frac2mm(this.nv.scene.crosshairPos);
    this.nv.scene.pan2Dxyzmm = next === 1 ? [0, 0, 0, 1] : now === 1 ? [-at[0], -at[1], -at[2], next] : [x, y, z, next];
    this.redraw();
  }

  // Colours of objects by their place, as [r, g, b], null for hidden ones.
  colours(list) {
    const entry = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: [""] };
    list.forEach((colour, i) => {
      const [r, g, b] = colour ?? [0, 0, 0];
      entry.R.push(r); entry.G.push(g); entry.B.push(b); entry.A.push(colour ? 255 : 0); entry.I.push(i + 1);
      entry.labels.push("");
    });
    this.nv.setDrawColormap(entry);
  }

  opacity(value) { this.nv.setDrawOpacity(value); }

  // Shows a mask: places of objects in a box, zero outside.
  mask({ box, voxels }) {
    const [nx, ny] = this.size;
    const all = this.nv.drawBitmap;
    all.fill(0);
    const [x, y, z, w, h, d] = box;
    for (let k = 0; k < d; k++) {
      for (let j = 0; j < h; j++) {
        const from = (k * h + j) * w;
        all.set(voxels.subarray(from, from + w), x + nx * (y + j + ny * (z + k)));
      }
    }
    this.nv.refreshDrawing(true);
  }

  // Where a voxel lies on the page for each plane on which it can be seen now.
  places(voxel) {
    const cross = this.cross();
    const found = [];
    for (const plane of [0, 1, 2]) {
      if (cross[NORMAL[plane]] !== voxel[NORMAL[plane]]) continue;
      // On the very slice, so that NiiVue finds it there.
      const frac = this.fracOf(voxel);
      frac[NORMAL[plane]] = this.nv.scene.crosshairPos[NORMAL[plane]];
      const tile = this.nv.frac2canvasPosWithTile(frac, plane);
      if (tile) found.push({ plane, x: tile.pos[0] / this.nv.uiData.dpr, y: tile.pos[1] / this.nv.uiData.dpr });
    }
    return found;
  }

  // Draws prompts: {number, positive, colour, voxels: [one] or [lower, upper]}.
  marks(prompts) {
    this.svg.replaceChildren();
    const put = (name, attributes, text) => {
      const element = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      if (text) element.textContent = text;
      this.svg.append(element);
    };
    for (const prompt of prompts) {
      if (prompt.voxels.length === 1) {
        for (const { x, y } of this.places(prompt.voxels[0])) {
          put("circle", { cx: x, cy: y, r: 7, class: prompt.positive ? "plus" : "minus" });
          put("text", { x, y: y + 4.5, class: "sign" }, prompt.positive ? "+" : "−");
        }
        continue;
      }
      const [low, high] = prompt.voxels;
      const cross = this.cross();
      for (const plane of [0, 1, 2]) {
        const across = NORMAL[plane];
        if (cross[across] < low[across] || cross[across] > high[across]) continue;
        const ends = [low, high].map((corner) => {
          const voxel = [...corner];
          voxel[across] = cross[across];
          return this.places(voxel).find((p) => p.plane === plane);
        });
        if (!ends[0] || !ends[1]) continue;
        const [x, y] = [Math.min(ends[0].x, ends[1].x), Math.min(ends[0].y, ends[1].y)];
        put("rect", { x, y, width: Math.abs(ends[0].x - ends[1].x), height: Math.abs(ends[0].y - ends[1].y), class: "box" });
      }
    }
  }
}

// The page is built into the Python package, which serves it; paths are relative, so that it does not matter where.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    outDir: "../../src/vesalius/serve/static",
    emptyOutDir: true,
    chunkSizeWarningLimit: 4000, // NiiVue is one file, and it comes from this machine
  },
});

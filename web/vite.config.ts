// Builds the console into dist/. Asset addresses are relative, so the console also works under a path prefix.
// `npm run dev` serves it with the API of a running `volant serve` (VOLANT_URL) behind it.
import { defineConfig } from "vite";

const volant = process.env["VOLANT_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "./",
  build: {
    target: "es2021",
    modulePreload: false,
    assetsInlineLimit: 0,
    minify: "terser",
    terserOptions: { module: true, ecma: 2020, compress: { passes: 3, keep_fargs: false, unsafe_arrows: true } },
  },
  server: { proxy: { "/api": volant, "/v1": volant, "/healthz": volant, "/metrics": volant } },
});

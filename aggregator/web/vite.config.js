import { defineConfig } from "vite";

// Three entries: the page, the page on which people sign in, and the worker that shows messages, whose name must stay the
// same. Nothing is inlined, so that the strict Content-Security-Policy of the server needs no exception.
export default defineConfig({
  base: "/",
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { index: "index.html", "sign-in": "sign-in.html", "push-worker": "src/push-worker.ts" },
      output: { entryFileNames: (chunk) => (chunk.name === "push-worker" ? "[name].js" : "assets/[name]-[hash].js") },
    },
  },
});

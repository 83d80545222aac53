import { defineConfig } from "vite";

// Two entries: the page, and the page that spends a one-time code. Nothing is inlined, so that the strict
// Content-Security-Policy of the server needs no exception.
export default defineConfig({
  base: "/",
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { input: ["index.html", "sign-in.html"] },
  },
});

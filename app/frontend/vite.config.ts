import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` proxies to the sandbox's environment; in production nginx does.
const backend = process.env.BACKEND_URL ?? "http://127.0.0.1:30080";

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  server: { proxy: { "/api": backend, "/actuator": backend } },
  build: { target: "es2022", assetsInlineLimit: 0, reportCompressedSize: true },
  test: {
    environment: "jsdom",
    setupFiles: ["./src/testing/setup.ts"],
    restoreMocks: true,
    testTimeout: 30_000, // five seconds are too few where all cores are taken
    coverage: {
      include: ["src/**/*.{ts,tsx}"],
      exclude: ["src/testing/**", "src/main.tsx", "src/**/*.test.*"],
      reporter: ["text"],
      thresholds: { statements: 75, branches: 75, functions: 75, lines: 75 },
    },
  },
});

// Builds the two pages (the wall and the player) into dist/, which the gateway
// embeds. Nothing is inlined: the gateway's CSP allows neither inline script nor style.
import { gzipSync } from "node:zlib";
import { resolve } from "node:path";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const gateway = process.env.REELAY_GATEWAY ?? "http://127.0.0.1:8080";

/**
 * Lets the browser fetch the player (hls.js and all) beside its tiny boot script, not after it:
 * the boot script has then asked for the playlists before the player is even parsed.
 */
function preloadPlayer(): Plugin {
  return {
    name: "preload-player",
    transformIndexHtml: {
      order: "post",
      handler(html, { bundle, filename }) {
        if (!bundle || !filename.endsWith("watch.html")) return;
        const chunks = Object.values(bundle).filter((file) => file.type === "chunk");
        const player = chunks.find(({ facadeModuleId }) => facadeModuleId?.endsWith("src/player/main.tsx"));
        if (!player) throw new Error("the player's chunk is missing from the bundle");
        const needed = chunks.filter(
          ({ fileName }) => fileName === player.fileName || player.imports.includes(fileName),
        );
        const styles = new Set(needed.flatMap(({ viteMetadata }) => [...(viteMetadata?.importedCss ?? [])]));
        const link = (rel: string) => (file: string) => ({
          tag: "link",
          attrs: { rel, crossorigin: true, href: `/${file}` },
          injectTo: "head" as const,
        });
        // What the page loads anyway is already named in it.
        const scripts = needed.map(({ fileName }) => fileName).filter((file) => !html.includes(file));
        return [...scripts.map(link("modulepreload")), ...[...styles].map(link("stylesheet"))];
      },
    },
  };
}

/** Writes `file.gz` beside each larger script and style, so that the gateway need not compress them. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    generateBundle: {
      // After all others: they still change the scripts.
      order: "post",
      handler(_options, bundle) {
        for (const file of Object.values(bundle)) {
          const text = file.type === "chunk" ? file.code : file.source;
          if (!/\.(js|css)$/.test(file.fileName) || text.length < 1024) continue;
          // zlib leaves the time out of its header: the same source gives the same bytes.
          const source = gzipSync(text, { level: 9 });
          this.emitFile({ type: "asset", fileName: `${file.fileName}.gz`, source });
        }
      },
    },
  };
}

/** In development, any /watch/{id} is the player's page, as the gateway has it. */
function watchPages(): Plugin {
  return {
    name: "watch-pages",
    configureServer(server) {
      server.middlewares.use((request, _response, next) => {
        if (request.url?.startsWith("/watch/")) request.url = "/watch.html";
        next();
      });
    },
  };
}

export default defineConfig({
  plugins: [preloadPlayer(), compressed(), watchPages()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // hls.js alone is beyond the default of 500 kB; the player cannot start without it.
    chunkSizeWarningLimit: 700,
    rollupOptions: {
      input: { wall: resolve(__dirname, "index.html"), watch: resolve(__dirname, "watch.html") },
      output: {
        manualChunks: (id) => (/\/src\/design\/|\/node_modules\/preact\//.test(id) ? "design" : undefined),
      },
    },
  },
  server: {
    proxy: {
      "/api": { target: gateway, ws: true },
      "/streams": gateway,
    },
  },
  test: {
    include: ["src/**/*.test.ts", "browser-tests/*.spec.ts"],
    setupFiles: "./test-setup/browser-globals.ts",
  },
});

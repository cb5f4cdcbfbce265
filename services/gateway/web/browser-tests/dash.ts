// Other people's players on a page of another origin, as a viewer's site would have them.
import { readFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import type { BrowserContext, Page } from "playwright-core";

export type PlayerName = "dashjs" | "shaka";

const file = (path: string): string => fileURLToPath(new URL(`../node_modules/${path}`, import.meta.url));
const scripts: Record<PlayerName, string> = {
  dashjs: file("dashjs/dist/legacy/umd/dash.all.min.js"),
  shaka: file("shaka-player/dist/shaka-player.dash.js"),
};
/** How each is started, with what its users would set for a stream of low latency, and no more. */
const starts: Record<PlayerName, string> = {
  dashjs: `const player = dashjs.MediaPlayer().create();
    player.on("error", ({ error }) => errors.push(error.message));
    player.initialize(video, address, true);`,
  shaka: `shaka.polyfill.installAll();
    const player = new shaka.Player();
    player.addEventListener("error", ({ detail }) => {
      // A request that is tried again is no error to the viewer.
      if (detail.severity === 2) errors.push(String(detail));
    });
    player.configure({ streaming: { liveSync: { enabled: true } } });
    player.attach(video).then(() => player.load(address)).then(() => video.play());`,
};

export interface Site {
  url: string;
  close(): void;
}

/** A site with a page for each player: `/{player}?{address of a manifest}`. */
export async function openSite(): Promise<Site> {
  const answer = (response: ServerResponse, type: string, body: string | Buffer): void => {
    response.setHeader("content-type", type);
    response.end(body);
  };
  const server = createServer(({ url = "/" }, response) => {
    const name = /^\/(dashjs|shaka)(\.js)?(\?|$)/.exec(url);
    if (!name) {
      response.statusCode = 404;
      response.end();
      return;
    }
    const player = name[1] as PlayerName;
    if (name[2]) return answer(response, "text/javascript", readFileSync(scripts[player]));
    answer(
      response,
      "text/html",
      `<!doctype html><title>${player}</title><video autoplay style="width: 100%"></video>
      <script src="/${player}.js"></script><script>
        window.errors = [];
        const video = document.querySelector("video");
        const address = decodeURIComponent(location.search.slice(1));
        ${starts[player]}
        window.player = player;
      </script>`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, close: () => server.close() };
}

/** Opens the page of a player with a stream of a gateway. */
export async function watch(
  context: BrowserContext,
  site: Site,
  player: PlayerName,
  manifest: string,
): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${site.url}/${player}?${encodeURIComponent(manifest)}`);
  return page;
}

/** Errors that the player told its page of. */
export const playerErrors = (page: Page): Promise<string[]> =>
  page.evaluate(() => (window as never as { errors: string[] }).errors);

/** Seconds between the capture of what is shown and now: the manifest's times are wall-clock times. */
export const behind = (page: Page): Promise<number> =>
  page.evaluate(() => Date.now() / 1000 - document.querySelector("video")!.currentTime);

// MediaMTX with a camera like the demo stream's, to measure against in the same run.
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cells, columns, rows } from "./clock-code";

const width = 1280;
const height = 720;
const framesPerSecond = 25;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Draws the demo's kind of picture, grey, with a noisy band: the code, and as many bits as a camera's. */
function picture(timeMs: number, noise: Buffer): Buffer {
  const frame = Buffer.alloc((width * height * 3) / 2, 128);
  frame.fill(90, 0, width * height);
  const cellWidth = width / columns;
  const cellHeight = height / rows;
  for (const { column, row, white } of cells(timeMs)) {
    for (let y = row * cellHeight; y < (row + 1) * cellHeight; y++) {
      const x = y * width + column * cellWidth;
      frame.fill(white ? 235 : 16, x, x + cellWidth);
    }
  }
  for (let y = 480; y < 560; y++) {
    const from = Math.floor(Math.random() * (noise.length - 320));
    noise.copy(frame, y * width + 480, from, from + 320);
  }
  return frame;
}

/** Starts it, or says why there is no peer to measure. */
export async function startPeer(): Promise<{ url: string; stop(): Promise<void> } | null> {
  let program: string;
  try {
    const script = fileURLToPath(new URL("../../../../scripts/mediamtx", import.meta.url));
    program = execFileSync(script, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
  } catch (error) {
    console.error(`mediamtx is not measured: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
  const folder = mkdtempSync(join(tmpdir(), "reelay-peer-"));
  const [rtsp, hls] = [await freePort(), await freePort()];
  const config = {
    logLevel: "error",
    rtmp: false,
    webrtc: false,
    srt: false,
    rtspAddress: `127.0.0.1:${rtsp}`,
    rtspTransports: ["tcp"],
    hlsAddress: `127.0.0.1:${hls}`,
    hlsAlwaysRemux: true,
    hlsVariant: "lowLatency",
    hlsPartDuration: "200ms",
    paths: { demo: {} },
  };
  // JSON is YAML.
  writeFileSync(join(folder, "mediamtx.yml"), JSON.stringify(config));
  const children: ChildProcess[] = [];
  let drawing: ReturnType<typeof setInterval> | undefined;
  const stop = async (): Promise<void> => {
    clearInterval(drawing);
    for (const child of children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, "exit");
      // FFmpeg sees a signal only between two frames that it reads.
      child.stdin?.destroy();
      child.kill();
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const answers = async (url: string): Promise<boolean> => {
    try {
      return (await fetch(url)).status < 500;
    } catch {
      return false;
    }
  };
  const until = async (condition: () => Promise<boolean>): Promise<void> => {
    for (const end = Date.now() + 20_000; Date.now() < end;) {
      if (await condition()) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await stop();
    throw new Error("mediamtx did not get ready");
  };

  children.push(spawn(program, [join(folder, "mediamtx.yml")], { stdio: ["ignore", "ignore", "inherit"] }));
  await until(() => answers(`http://127.0.0.1:${hls}/`));
  // prettier-ignore
  const ffmpeg = spawn("ffmpeg", [
    "-loglevel", "error", "-fflags", "nobuffer",
    "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", `${width}x${height}`, "-r", String(framesPerSecond),
    "-use_wallclock_as_timestamps", "1", "-i", "-",
    "-f", "lavfi", "-re", "-i", "sine=frequency=440:sample_rate=48000",
    "-map", "0:v", "-map", "1:a",
    "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-bf", "0", "-g", "50", "-b:v", "2500k",
    "-c:a", "aac", "-f", "rtsp", "-rtsp_transport", "tcp", `rtsp://127.0.0.1:${rtsp}/demo`,
  ], { stdio: ["pipe", "ignore", "inherit"] });
  children.push(ffmpeg);
  // It is ended while it still reads.
  ffmpeg.stdin.on("error", () => undefined);
  const noise = Buffer.from(Array.from({ length: 65_536 }, () => 60 + Math.floor(Math.random() * 120)));
  drawing = setInterval(() => {
    if (ffmpeg.stdin.writableLength < width * height) ffmpeg.stdin.write(picture(Date.now(), noise));
  }, 1000 / framesPerSecond);
  await until(async () => (await fetch(`http://127.0.0.1:${hls}/demo/index.m3u8`)).ok);
  return { url: `http://127.0.0.1:${hls}/demo/`, stop };
}

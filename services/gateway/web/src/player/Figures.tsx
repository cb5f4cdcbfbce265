// The figures of the player, for those who want to know.
import { latencyWords } from "./latency";
import { qualityName } from "./quality";
import type { Watch } from "./watch";

export function Figures({ watch, video }: { watch: Watch; video: HTMLVideoElement }) {
  const { engine, qoe, startupMs, latencyMs } = watch;
  const level = engine.levels[engine.currentLevel];
  const frames = video.getVideoPlaybackQuality();
  const rows: [name: string, label: string, value: string][] = [
    ["behind", "Behind the camera", latencyWords(latencyMs)],
    ["startup", "First picture after", startupMs === null ? "–" : `${(startupMs / 1000).toFixed(2)} s`],
    [
      "stalls",
      "Stalls",
      qoe.stallsInAll === 0 ? "none" : `${qoe.stallsInAll}, ${(qoe.stalledMsInAll / 1000).toFixed(1)} s`,
    ],
    ["ahead", "Loaded ahead", `${engine.ahead.toFixed(1)} s`],
    [
      "picture",
      "Picture",
      video.videoWidth
        ? `${video.videoWidth} × ${video.videoHeight}${level?.frameRate ? `, ${Math.round(level.frameRate)} fps` : ""}`
        : "–",
    ],
    ["quality", "Quality", qualityName(engine.levels, engine.currentLevel) ?? "–"],
    [
      "bandwidth",
      "Line, as measured",
      engine.bandwidth ? `${(engine.bandwidth / 1e6).toFixed(1)} Mbit/s` : "–",
    ],
    ["bitrate", "Bit rate, at most", level ? `${(level.bitrate / 1e6).toFixed(1)} Mbit/s` : "–"],
    ["dropped", "Frames dropped", `${frames.droppedVideoFrames} of ${frames.totalVideoFrames}`],
    ["gateway", "Gateway", new URL(engine.gateways.current).host],
  ];
  return (
    <dl class="figures">
      {rows.map(([name, label, value]) => (
        <div key={name}>
          <dt>{label}</dt>
          <dd data-figure={name}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

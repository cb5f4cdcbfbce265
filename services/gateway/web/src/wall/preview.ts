// Plays one preview: muted, without sound track, some seconds behind, with as few requests as can be.
import Hls, {
  Events,
  type Loader,
  type LoaderCallbacks,
  type LoaderConfiguration,
  type LoaderContext,
} from "hls.js";
import { smallestVariant, withoutLowLatency } from "./playlist";

/** hls.js's own loader, with the low-latency tags taken out of playlists. */
class PlainLoader extends (Hls.DefaultConfig.loader as new (config: unknown) => Loader<LoaderContext>) {
  override load(
    context: LoaderContext,
    configuration: LoaderConfiguration,
    callbacks: LoaderCallbacks<LoaderContext>,
  ): void {
    const { onSuccess } = callbacks;
    super.load(context, configuration, {
      ...callbacks,
      onSuccess: (response, stats, from, details) => {
        if (typeof response.data === "string") response.data = withoutLowLatency(response.data);
        onSuccess(response, stats, from, details);
      },
    });
  }
}

/** Starts a preview in `video`; what it returns ends it. `onPicture` is told of the first picture. */
export function startPreview(
  video: HTMLVideoElement,
  master: string,
  onPicture: () => void,
  onFailure: () => void,
): () => void {
  const ended = new AbortController();
  const hls = new Hls({
    pLoader: PlainLoader as never,
    lowLatencyMode: false,
    enableWorker: false,
    liveSyncDurationCount: 2,
    maxBufferLength: 6,
    backBufferLength: 0,
    testBandwidth: false,
    enableInterstitialPlayback: false,
  });
  hls.on(Events.ERROR, (_event, data) => {
    if (data.fatal && !ended.signal.aborted) onFailure();
  });
  video.requestVideoFrameCallback(() => {
    if (!ended.signal.aborted) onPicture();
  });
  void (async () => {
    try {
      const response = await fetch(master, { signal: ended.signal });
      const playlist = response.ok ? smallestVariant(await response.text(), response.url) : null;
      if (ended.signal.aborted) return;
      if (!playlist) throw new Error("no playlist");
      hls.loadSource(playlist);
      hls.attachMedia(video);
      video.muted = true;
      await video.play();
    } catch {
      if (!ended.signal.aborted) onFailure();
    }
  })();
  return () => {
    ended.abort();
    hls.destroy();
  };
}

// How hls.js is set up.
import type { HlsConfig } from "hls.js";

/** Low latency, for the player. */
export const lowLatency: Partial<HlsConfig> = {
  lowLatencyMode: true,
  // fMP4 passes through unchanged: a worker would cost its start-up time and a blob address, and save nothing.
  enableWorker: false,
  // The live position is the playlist's PART-HOLD-BACK and the engine's cushion behind the edge; it is the
  // cushion that grows with a stall.
  liveSyncOnStallIncrease: 0,
  // The engine sets the pace itself: hls.js only catches up with more than a second in the buffer.
  maxLiveSyncPlaybackRate: 1,
  backBufferLength: 10,
  maxBufferLength: 10,
  maxMaxBufferLength: 20,
  startFragPrefetch: true,
  testBandwidth: false,
  // A low-latency player holds about a second: it has to notice within two or three parts that a line has
  // become slower. Parts are small, so that there are five samples a second.
  abrEwmaFastLive: 1.5,
  abrEwmaSlowLive: 6,
  // What parts cost beside their bytes counts more than with segments.
  abrBandWidthFactor: 0.85,
  abrBandWidthUpFactor: 0.7,
  // No more pixels than the player has.
  capLevelToPlayerSize: true,
  useMediaCapabilities: false,
  // Nothing of these is in our streams.
  enableEmsgMetadataCues: false,
  enableID3MetadataCues: false,
  enableDateRangeMetadataCues: false,
  enableInterstitialPlayback: false,
  // The loader retries at other gateways and sits out short outages; these bound what lies beyond.
  manifestLoadPolicy: {
    default: {
      // A gateway holds this until a stream that has just begun has something to show.
      maxTimeToFirstByteMs: 12_000,
      maxLoadTimeMs: 12_000,
      timeoutRetry: null,
      errorRetry: null,
    },
  },
  playlistLoadPolicy: {
    default: {
      // A blocking reload is held for three part targets at most, 0.6 s.
      maxTimeToFirstByteMs: 4_000,
      maxLoadTimeMs: 8_000,
      timeoutRetry: { maxNumRetry: 20, retryDelayMs: 200, maxRetryDelayMs: 2_000 },
      errorRetry: { maxNumRetry: 20, retryDelayMs: 200, maxRetryDelayMs: 2_000 },
    },
  },
  fragLoadPolicy: {
    default: {
      maxTimeToFirstByteMs: 4_000,
      maxLoadTimeMs: 20_000,
      timeoutRetry: { maxNumRetry: 4, retryDelayMs: 100, maxRetryDelayMs: 1_000 },
      errorRetry: { maxNumRetry: 4, retryDelayMs: 200, maxRetryDelayMs: 1_000 },
    },
  },
};

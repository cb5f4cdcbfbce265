// The few icons of the pages, drawn on a grid of 24.

const paths = {
  play: "M8 5.5v13l11-6.5z",
  pause: "M8 5v14M16 5v14",
  sound: "M4 9.5v5h3.5L12 19V5L7.5 9.5zM16 9a4.2 4.2 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11",
  muted: "M4 9.5v5h3.5L12 19V5L7.5 9.5zM16.5 9.5l5 5M21.5 9.5l-5 5",
  "full screen": "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  "leave full screen": "M9 4v5H4M15 4v5h5M9 20v-5H4M15 20v-5h5",
  "picture in picture": "M3.5 5h17v14h-17zM12.5 12.5h5.5v4h-5.5z",
  help: "M9.2 9.2a2.9 2.9 0 1 1 4.2 2.6c-.9.5-1.4 1-1.4 2M12 17.2v.1M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  figures: "M5 20v-8M12 20V4M19 20v-5",
  back: "M15 5l-7 7 7 7",
  add: "M12 5v14M5 12h14",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  remove: "M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  camera: "M3.5 7.5h11v9h-11zM14.5 11l6-3v8l-6-3",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

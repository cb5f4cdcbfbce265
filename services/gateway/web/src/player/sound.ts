// The viewer's choice of volume and sound, kept for the next visit.

const key = "reelay.sound";

export interface Sound {
  volume: number;
  muted: boolean;
}

/** Reads what was kept; anything that makes no sense is full volume. */
export function parseSound(text: string | null): Sound {
  try {
    const { volume, muted } = JSON.parse(text ?? "{}") as Partial<Sound>;
    return {
      volume: typeof volume === "number" && volume >= 0 && volume <= 1 ? volume : 1,
      muted: muted === true,
    };
  } catch {
    return { volume: 1, muted: false };
  }
}

/** One step of the volume keys, in tenths. */
export const stepped = (volume: number, steps: number): number =>
  Math.min(1, Math.max(0, Math.round(volume * 10 + steps) / 10));

export function keptSound(): Sound {
  try {
    return parseSound(localStorage.getItem(key));
  } catch {
    return parseSound(null);
  }
}

export function keepSound(sound: Sound): void {
  try {
    localStorage.setItem(key, JSON.stringify(sound));
  } catch {
    // A browser that keeps nothing for this site plays as well.
  }
}

// The capture time in the picture of a synthetic camera: libs/media/src/camera/clock_code.rs says how it
// is drawn. Read from the screen here, and drawn for a peer that has no such camera.

/** Columns and rows that the picture is divided into. */
export const columns = 32;
export const rows = 18;
const bits = 64;

/** Column and row of a bit. */
const cellOf = (bit: number) => ({ column: 1 + (bit % 16), row: 1 + Math.floor(bit / 16) });

/** CRC-16/CCITT-FALSE. */
export function crc16(bytes: readonly number[]): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let i = 0; i < 8; i++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
}

/** The cells that are white for a time in milliseconds since 1970, and those that are black. */
export function cells(timeMs: number): { column: number; row: number; white: boolean }[] {
  const time = [5, 4, 3, 2, 1, 0].map((place) => Math.floor(timeMs / 256 ** place) % 256);
  const check = crc16(time) ^ 0xffff;
  const bytes = [...time, check >> 8, check & 0xff];
  return Array.from({ length: bits }, (_, bit) => ({
    ...cellOf(bit),
    white: (bytes[bit >> 3]! & (0x80 >> (bit & 7))) !== 0, // 64 bits are 8 bytes
  }));
}

/** Reads the time from the brightness of the cells, null when they do not hold one for sure. */
export function readCells(isWhite: (column: number, row: number) => boolean): number | null {
  const bytes = new Array<number>(8).fill(0);
  for (let bit = 0; bit < bits; bit++) {
    const { column, row } = cellOf(bit);
    if (isWhite(column, row)) bytes[bit >> 3]! |= 0x80 >> (bit & 7);
  }
  const time = bytes.slice(0, 6);
  if (((bytes[6]! << 8) | bytes[7]!) !== (crc16(time) ^ 0xffff)) return null;
  return time.reduce((sum, byte) => sum * 256 + byte, 0);
}

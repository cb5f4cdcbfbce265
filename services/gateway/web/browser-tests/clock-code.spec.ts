import { expect, test } from "vitest";
import { cells, crc16, readCells } from "./clock-code";

test("the checksum is CRC-16/CCITT-FALSE", () => {
  expect(crc16([..."123456789"].map((letter) => letter.charCodeAt(0)))).toBe(0x29b1);
});

test("a time that is drawn is read again, any other picture is not", () => {
  const time = Date.parse("2030-05-17T12:34:56.789Z");
  const white = new Set(
    cells(time)
      .filter((cell) => cell.white)
      .map(({ column, row }) => `${column} ${row}`),
  );
  expect(readCells((column, row) => white.has(`${column} ${row}`))).toBe(time);
  expect(
    readCells((column, row) => white.has(`${column} ${row}`) !== (column === 3 && row === 2)),
  ).toBeNull();
  expect(readCells(() => false)).toBeNull();
  expect(readCells(() => true)).toBeNull();
});

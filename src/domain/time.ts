/**
 * Unix milliseconds that can be written as digits: from 1973 to the end of 9999. What is below reads as seconds, what is
 * above as microseconds, and either would be taken for a time that no one meant.
 */
export const MIN_WRITTEN_MS = 100_000_000_000;
export const MAX_WRITTEN_MS = 253_402_300_799_999;

/** The last time that a Date can hold, in Unix milliseconds. */
export const MAX_TIME_MS = 8_640_000_000_000_000;

const RFC_3339 =
  /^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt ]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** An RFC 3339 time or Unix milliseconds as Unix milliseconds; undefined where the text is neither. */
export function parseTime(text: string): number | undefined {
  if (/^[1-9]\d{0,15}$/.test(text)) {
    const atMs = Number(text);
    return atMs >= MIN_WRITTEN_MS && atMs <= MAX_WRITTEN_MS ? atMs : undefined;
  }
  const [, year, month, day] = RFC_3339.exec(text) ?? [];
  // Date.parse reads 30 February as 2 March: a credential would be served past its expiry.
  if (day === undefined || Number(day) > daysIn(Number(year), Number(month))) return undefined;
  const atMs = Date.parse(text.toUpperCase().replace(' ', 'T').replace(/:60/, ':59'));
  return Number.isFinite(atMs) && atMs > 0 ? atMs : undefined;
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

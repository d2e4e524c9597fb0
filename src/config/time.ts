/** The last time that a Date can hold, in Unix milliseconds. */
export const MAX_TIME_MS = 8_640_000_000_000_000;

const RFC_3339 =
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt ]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** An RFC 3339 time or positive Unix milliseconds as Unix milliseconds; undefined where the text is neither. */
export function parseTime(text: string): number | undefined {
  if (/^[1-9]\d{0,15}$/.test(text)) return Number(text) <= MAX_TIME_MS ? Number(text) : undefined;
  if (!RFC_3339.test(text)) return undefined;
  // Date.parse takes 31 February for 3 March: a credential would outlive what somebody meant.
  const lastDay = new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0)).getUTCDate();
  if (Number(text.slice(8, 10)) > lastDay) return undefined;
  const atMs = Date.parse(text.toUpperCase().replace(' ', 'T').replace(/:60/, ':59'));
  return Number.isFinite(atMs) && atMs > 0 ? atMs : undefined;
}

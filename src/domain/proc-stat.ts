/** The text of /proc/<pid>/stat, see proc_pid_stat(5). */

/** Ticks in which /proc counts time, on every Linux. */
export const TICKS_PER_SECOND = 100;

/** From the third field on, the state. The second is a name that may hold anything, so the last `)` ends it. */
export function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Ticks from boot to the start of a process; undefined where the text is cut. */
export function parseStartTime(stat: string): number | undefined {
  const field = statFields(stat)[19];
  return field === undefined ? undefined : Number(field);
}

/** The text of /proc/uptime, which has two decimals, as whole ticks: a product of fractions may come out below them. */
export function parseUptime(uptime: string): number {
  return Math.round(Number.parseFloat(uptime) * TICKS_PER_SECOND);
}

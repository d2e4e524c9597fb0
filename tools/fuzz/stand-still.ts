/** Blocks like a process that is not scheduled: meanwhile it handles no timer, signal or data. */
export function standStill(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

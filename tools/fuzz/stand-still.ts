/** Stands still as a process does that gets no processor: no timer, no signal and no byte is seen meanwhile. */
export function standStill(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

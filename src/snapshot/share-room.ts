/**
 * Which credentials fit one response. Room is shared among providers, so that one Secret with thousands of keys
 * cannot take away what another provider needs. Pure.
 */
export interface Sized<T> {
  readonly item: T;
  readonly provider: string;
  /** Explicit and required credentials come before those taken in bulk. */
  readonly first: boolean;
  readonly bytes: number;
}

export function shareRoom<T>(items: readonly Sized<T>[], room: number): ReadonlySet<T> {
  const taken = new Set<T>();
  let left = room;
  for (const first of [true, false]) {
    const own = items.filter((item) => item.first === first);
    const shares = share(sum(own), left);
    for (const { item, provider, bytes } of own) {
      const rest = (shares.get(provider) ?? 0) - bytes;
      if (rest < 0) continue;
      shares.set(provider, rest);
      taken.add(item);
      left -= bytes;
    }
  }
  return new Set(items.filter(({ item }) => taken.has(item)).map(({ item }) => item));
}

/** Room for each provider: what it needs where that is no more than an equal share, and the rest among the others. */
function share(needs: ReadonlyMap<string, number>, room: number): Map<string, number> {
  const shares = new Map<string, number>();
  let left = room;
  const ascending = [...needs].sort(([, a], [, b]) => a - b);
  ascending.forEach(([provider, need], index) => {
    const part = Math.min(need, Math.floor(left / (ascending.length - index)));
    shares.set(provider, part);
    left -= part;
  });
  return shares;
}

function sum(items: readonly Sized<unknown>[]): Map<string, number> {
  const needs = new Map<string, number>();
  for (const { provider, bytes } of items) needs.set(provider, (needs.get(provider) ?? 0) + bytes);
  return needs;
}

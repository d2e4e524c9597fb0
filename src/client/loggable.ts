/**
 * Adds a `toJSON` to an object and every object in it, so that loggers can print it: JSON.stringify throws on a bigint
 * and prints a Map as `{}`. A SecretValue already prints as `[secret]`.
 */
export function loggable<T extends object>(value: T): T {
  if (Object.isFrozen(value)) return value;
  const children = value instanceof Map ? value.values() : Object.values(value);
  for (const child of children) if (typeof child === 'object' && child !== null) loggable(child);
  if (!Array.isArray(value)) Object.defineProperty(value, 'toJSON', { value: plain, configurable: true });
  return value;
}

function plain(this: object): object {
  const entries = this instanceof Map ? [...this] : Object.entries(this);
  return Object.fromEntries(
    entries.map(([key, value]) => [key, typeof value === 'bigint' ? String(value) : value]),
  );
}

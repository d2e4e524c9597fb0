/** The two operations of RFC 6902 that the policy uses, as strict as the API server: a missing parent is an error. */

export interface PatchOperation {
  readonly op: 'add' | 'copy';
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

type Holder = Record<string, unknown> | unknown[];

/** Returns a patched copy. */
export function applyPatch(object: unknown, patch: readonly PatchOperation[]): unknown {
  const root = structuredClone(object) as Holder;
  for (const operation of patch) {
    const value = operation.op === 'copy' ? get(root, pointer(operation.from ?? '')) : operation.value;
    add(root, pointer(operation.path), structuredClone(numbers(value)));
  }
  return root;
}

function pointer(path: string): string[] {
  if (!path.startsWith('/')) throw new Error(`${path} is no JSON pointer`);
  return path
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function get(root: Holder, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => {
    const value = (at as Record<string, unknown> | undefined)?.[key];
    if (value === undefined) throw new Error(`there is no /${path.join('/')}`);
    return value;
  }, root);
}

function add(root: Holder, path: readonly string[], value: unknown): void {
  const parent = get(root, path.slice(0, -1));
  const key = path[path.length - 1] ?? '';
  if (!Array.isArray(parent)) {
    (parent as Record<string, unknown>)[key] = value;
    return;
  }
  const index = key === '-' ? parent.length : Number(key);
  if (!(index <= parent.length)) throw new Error(`${key} is behind the end of the list`);
  parent.splice(index, 0, value);
}

/** CEL's 64-bit integers as JSON has them. */
function numbers(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(numbers);
  if (value instanceof Map) return numbers(Object.fromEntries(value));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, numbers(part)]));
  }
  return value;
}

/** What is to be added to a pod template, as data: one list that the text and the model are both changed by. */
import type { Data, Path } from './data.ts';

/** Adds to the list or map at `path`, which is relative to the pod template and made where it is not there. */
export type Addition =
  | { readonly to: Path; readonly items: readonly Data[] }
  | { readonly to: Path; readonly entry: { readonly key: string; readonly value: unknown } };

/** The same additions made to a copy of the plain data: what the edited text must read as. */
export function applyToModel(template: Data, additions: readonly Addition[]): Data {
  const copy = structuredClone(template) as Record<string, unknown>;
  for (const addition of additions) {
    if ('items' in addition) {
      const list = makeAt(copy, addition.to, () => []);
      if (Array.isArray(list)) list.push(...structuredClone(addition.items));
    } else {
      const map = makeAt(copy, addition.to, () => ({})) as Record<string, unknown>;
      map[addition.entry.key] = addition.entry.value;
    }
  }
  return copy;
}

function makeAt(root: Record<string, unknown>, path: Path, make: () => object): unknown {
  let at: unknown = root;
  path.forEach((part, index) => {
    const holder = at as Record<string | number, unknown>;
    holder[part] ??= index === path.length - 1 ? make() : {};
    at = holder[part];
  });
  return at;
}

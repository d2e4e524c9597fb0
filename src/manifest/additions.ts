/** What is to be added to a pod template, as data: the model is changed by it, and the text after the model. */
import { asList, asMap, type Data, type Path, startsWith, valueAt } from './data.ts';

export interface Addition {
  /** Relative to the pod template. What is missing on the way is made. */
  readonly to: Path;
  /** A list is added to the list in that place. */
  readonly value: readonly Data[] | string | boolean;
}

/** The template with the additions, and the outermost fields that were made for them. Shares what stays as it is. */
export function withAdditions(
  template: Data,
  additions: readonly Addition[],
): { readonly model: Data; readonly created: readonly Path[] } {
  let model = template;
  const created: Path[] = [];
  for (const { to, value } of additions) {
    const at = to.findIndex((_, index) => valueAt(model, to.slice(0, index + 1)) === undefined);
    if (at >= 0 && !created.some((path) => startsWith(to, path))) created.push(to.slice(0, at + 1));
    model = asMap(put(model, to, value));
  }
  return { model, created };
}

/** The data with a value at a path. A list is added to the list in that place. */
export function put(data: unknown, [part, ...rest]: Path, value: unknown): unknown {
  if (part === undefined) return Array.isArray(value) ? [...asList(data), ...value] : value;
  if (typeof part === 'number') return asList(data).with(part, put(asList(data)[part], rest, value));
  const map = asMap(data);
  return { ...map, [part]: put(map[part], rest, value) };
}

/**
 * Aliases of a YAML document, counted before anything follows them. The library counts while it follows them, and
 * where an anchor holds itself or aliases of an empty list its count stays 0: it goes through the document again
 * for every alias of every alias, which takes minutes for 3 KB.
 */
import { type Alias, type Document, isAlias, type Node, visit } from 'yaml';

export type AliasFault = 'no-anchor' | 'within-itself' | 'too-many';

export interface FollowedAliases {
  /** What each alias stands for. */
  readonly targets: ReadonlyMap<Alias, Node>;
  /** In the order of the document, one for each anchor that holds itself; after `too-many` nothing is looked at. */
  readonly faults: readonly { readonly alias: Alias; readonly fault: AliasFault }[];
}

/** Follows every alias once. `most` is how many may be followed in all, those within what they stand for included. */
export function followAliases(document: Document, most: number): FollowedAliases {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  const faults: { readonly alias: Alias; readonly fault: AliasFault }[] = [];
  /** Aliases that are followed where this node is written out. */
  const within = new Map<unknown, number>();
  const circular = new Set<Node>();
  let followed = 0;
  visit(document, {
    Node: (_key, node, path) => {
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchors.set(node.anchor, node);
        return undefined;
      }
      const target = anchors.get(node.source);
      if (target === undefined) {
        faults.push({ alias: node, fault: 'no-anchor' });
        return undefined;
      }
      const itself = path.includes(target);
      // What an anchor holds comes before every alias of it from outside, so that its count is complete.
      const count = itself ? 1 : 1 + (within.get(target) ?? 0);
      followed += count;
      if (followed > most) {
        faults.push({ alias: node, fault: 'too-many' });
        return visit.BREAK;
      }
      if (itself) {
        if (!circular.has(target)) faults.push({ alias: node, fault: 'within-itself' });
        circular.add(target);
        return undefined;
      }
      targets.set(node, target);
      for (const around of path) within.set(around, (within.get(around) ?? 0) + count);
      return undefined;
    },
  });
  return { targets, faults };
}

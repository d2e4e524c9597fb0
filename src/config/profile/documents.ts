import type { YamlSource } from '../yaml-source.ts';

/**
 * The profiles of a file's documents: one each, or a list of them, at the top or under `profiles`, as OpenShell exports
 * several at once.
 */
export function profileSources(documents: readonly YamlSource[]): YamlSource[] {
  return documents.flatMap(
    (document) => document.entries([]) ?? document.entries(['profiles']) ?? [document],
  );
}

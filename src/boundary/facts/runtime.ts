/** What this container runs on, as far as it shows. */
import { RUNTIME_MARKS, type SandboxedRuntime } from '../../domain/runtimes.ts';
import { readText } from './readable.ts';

export interface RuntimeFacts {
  /** Undefined on the node's own kernel, or where nothing shows another. */
  readonly kind: SandboxedRuntime | undefined;
  /** The first line of /proc/version, and where the runtime shows. */
  readonly evidence: string;
}

export function gatherRuntime(): RuntimeFacts {
  const version = (readText('/proc/version') ?? 'unknown').split(' (', 1)[0]?.trim() ?? '';
  for (const [kind, marks] of Object.entries(RUNTIME_MARKS)) {
    const file = Object.entries(marks).find(([path, mark]) => mark.test(readText(path) ?? ''))?.[0];
    if (file !== undefined)
      return { kind: kind as SandboxedRuntime, evidence: `${version}; seen in ${file}` };
  }
  return { kind: undefined, evidence: version };
}

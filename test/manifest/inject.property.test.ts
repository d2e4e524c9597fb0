import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { RULES } from '../../src/boundary/catalogue.ts';
import { inject, uninject } from '../../src/manifest/inject.ts';
import { lint } from '../../src/manifest/lint.ts';
import { podArbitrary, podOf, write, writingArbitrary } from './pods.ts';
import { isSubsequence, requestFor } from './support.ts';

/** Raise by PROPERTY_RUNS to search longer. */
const RUNS = Number(process.env.PROPERTY_RUNS ?? 60);

interface Named {
  readonly name: string;
}
interface Spec {
  readonly initContainers?: readonly Named[];
  readonly containers: readonly (Named & { readonly volumeMounts?: readonly Named[] })[];
  readonly volumes?: readonly Named[];
}

function read(text: string): unknown {
  const [document] = parseAllDocuments(text, { version: '1.1' });
  return document?.toJS();
}

/** A pod spec without what has one of our names; written without the code under test. */
function withoutOurs(spec: Spec): Spec {
  const ours = ({ name }: Named) => name === 'secret-resolver' || name.startsWith('secret-resolver-');
  return {
    ...spec,
    initContainers: (spec.initContainers ?? []).filter((container) => !ours(container)),
    containers: spec.containers.map((container) => ({
      ...container,
      volumeMounts: (container.volumeMounts ?? []).filter((mount) => !ours(mount)),
    })),
    volumes: (spec.volumes ?? []).filter((volume) => !ours(volume)),
    ...{ automountServiceAccountToken: false },
  };
}

describe('inject: any pod, however written', () => {
  it('changes nothing but its own additions', () => {
    fc.assert(
      fc.property(podArbitrary, writingArbitrary, (pod, writing) => {
        const input = write(pod, writing);
        const { text } = inject(requestFor(input));

        const before = podOf(read(input), writing.kind).spec as unknown as Spec;
        const after = podOf(read(text), writing.kind).spec as unknown as Spec;
        expect(withoutOurs(after)).toEqual(withoutOurs(before));
        expect(after.initContainers?.slice(-2).map(({ name }) => name)).toEqual([
          'secret-resolver',
          'secret-resolver-self-test',
        ]);
        // In block style every line stays as it is, comments and blank ones too.
        if (writing.style === 'block' && !/\[\]|\{\}/.test(input)) {
          expect(isSubsequence(input, text)).toBe(true);
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('gives back the bytes of the input, and adds the same bytes again', () => {
    fc.assert(
      fc.property(podArbitrary, writingArbitrary, (pod, writing) => {
        const input = write(pod, writing);
        const { text } = inject(requestFor(input));
        expect(inject(requestFor(text)).text).toBe(text);
        expect(uninject(requestFor(text)).text).toBe(input);
      }),
      { numRuns: RUNS },
    );
  });

  it('does the same where it adds an Envoy', () => {
    fc.assert(
      fc.property(podArbitrary, writingArbitrary, (pod, writing) => {
        const input = write(pod, writing);
        const { text } = inject(requestFor(input, { choice: { supervisors: ['envoy'] } }));
        expect(text).toContain('https_proxy');
        expect(inject(requestFor(text)).text).toBe(text);
        expect(uninject(requestFor(text)).text).toBe(input);
      }),
      { numRuns: RUNS },
    );
  });

  it('leaves nothing for lint to find', () => {
    fc.assert(
      fc.property(podArbitrary, writingArbitrary, (pod, writing) => {
        const { text } = inject(requestFor(write(pod, writing)));
        const { findings } = lint({ file: 'x.yaml', text, choice: {}, rules: RULES });
        expect(findings).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  it('works on each of several documents', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(podArbitrary, writingArbitrary), { minLength: 2, maxLength: 4 }),
        (entries) => {
          const input = entries
            .map(([pod, writing]) => write(pod, { ...writing, finalNewline: true, crlf: false }))
            .join('---\n');
          const { text, done } = inject(requestFor(input));
          expect(done).toHaveLength(entries.length);
          expect(uninject(requestFor(text)).text).toBe(input);
        },
      ),
      { numRuns: Math.ceil(RUNS / 4) },
    );
  });
});

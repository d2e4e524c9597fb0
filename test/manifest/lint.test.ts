import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RULES } from '../../src/boundary/catalogue.ts';
import { inject } from '../../src/manifest/inject.ts';
import { type Finding, lint } from '../../src/manifest/lint.ts';
import { ENVOY_FAULTS } from './envoy-faults.ts';
import { POD_FAULTS, type PodFault, plant } from './faults.ts';
import { podArbitrary, write } from './pods.ts';
import { readInput, requestFor } from './support.ts';

function findingsOf(text: string, ignore: readonly string[] = []): readonly Finding[] {
  const rules = RULES.filter(({ id }) => !ignore.includes(id));
  return lint({ file: 'm.yaml', text, choice: {}, rules }).findings;
}

const good = inject(requestFor(readInput('pod.yaml'))).text;

describe('lint: planted faults', () => {
  it.each(POD_FAULTS)('$rule: $name', (fault) => {
    const text = plant(good, [], [fault]);
    const found = findingsOf(text).filter(({ rule }) => rule === fault.rule);
    expect(found.length).toBeGreaterThan(0);
    for (const finding of found) {
      expect(finding.path).toMatch(fault.at);
      expect(finding.why).not.toBe('');
      expect(finding.remedy).not.toBe('');
    }
    expect(findingsOf(text, [fault.rule]).filter(({ rule }) => rule === fault.rule)).toEqual([]);
  });

  it('finds every fault among several, in any pod', () => {
    fc.assert(
      fc.property(
        podArbitrary,
        // One fault for a rule: two of them may undo each other. Other roles hide the faults of the usual ones.
        fc.uniqueArray(fc.constantFrom(...POD_FAULTS.filter(({ rule }) => rule !== 'role-annotation')), {
          minLength: 1,
          maxLength: 6,
          selector: independent,
        }),
        (pod, faults) => {
          const writing = {
            kind: 'Sandbox',
            style: 'block',
            indentSeq: true,
            indent: 2,
            crlf: false,
            finalNewline: true,
            noise: [9],
          } as const;
          const injected = inject(requestFor(write(pod, writing))).text;
          // The self-test is taken out last, so that other faults still find it.
          const ordered = [...faults].sort(
            (a, b) => Number(a.rule === 'self-test-missing') - Number(b.rule === 'self-test-missing'),
          );
          const found = findingsOf(plant(injected, ['spec', 'podTemplate'], ordered));
          const hidden = new Set(
            faults.some(({ rule }) => rule === 'self-test-missing')
              ? ['self-test-differs', 'resolver-command', 'self-loader-environment']
              : [],
          );
          for (const fault of faults) {
            if (hidden.has(fault.rule)) continue;
            expect(
              found.some(({ rule, path }) => rule === fault.rule && fault.at.test(path)),
              fault.name,
            ).toBe(true);
          }
        },
      ),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? 100) },
    );
  });

  /** Faults that write the same field are never planted together. */
  function independent(fault: PodFault): string {
    if (['optional-secret', 'secret-items'].includes(fault.rule)) return 'secret';
    if (/^socket-|^reserved-folder$/.test(fault.rule)) return 'socket';
    if (['reserved-uid', 'resolver-uid-shared'].includes(fault.rule)) return 'resolver-uid';
    const roles = ['combined-topology', 'role-annotation', 'supervisor-uid-shared'];
    if (['resolver-order', 'shared-processes-root', ...roles].includes(fault.rule)) return 'order';
    return fault.rule;
  }

  it('has a planted fault for every rule', () => {
    const planted = new Set([
      ...[...POD_FAULTS, ...ENVOY_FAULTS].map(({ rule }) => rule),
      ...OBJECT_FAULTS.map(({ rule }) => rule),
      'not-checked', // in reading.test.ts
      'resolver-missing', // there, too
      'exe-unreadable', // in controls.test.ts
    ]);
    expect(RULES.map(({ id }) => id).filter((id) => !planted.has(id))).toEqual([]);
    expect(new Set(RULES.map(({ id }) => id)).size).toBe(RULES.length);
  });
});

const externalSecret = (spec: string, name = 'gitlab') =>
  `apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: ${name}, namespace: tenant-a}\nspec:\n${spec
    .split('\n')
    .map((line) => `  ${line}\n`)
    .join('')}`;
const kept = 'target: {name: gitlab, deletionPolicy: Merge}';

const OBJECT_FAULTS: readonly { rule: string; text: string; line: number; severity: string }[] = [
  {
    rule: 'immutable-secret',
    text: 'apiVersion: v1\nkind: Secret\nmetadata: {name: gitlab}\nimmutable: true\n',
    line: 4,
    severity: 'error',
  },
  {
    rule: 'immutable-secret',
    text: externalSecret('target:\n  name: gitlab\n  deletionPolicy: Merge\n  immutable: true'),
    line: 8,
    severity: 'error',
  },
  {
    rule: 'external-secret-deletion',
    text: externalSecret('refreshInterval: 1h'),
    line: 4,
    severity: 'error',
  },
  {
    rule: 'external-secret-deletion',
    text: externalSecret('target:\n  deletionPolicy: Retain'),
    line: 6,
    severity: 'error',
  },
  {
    rule: 'external-secret-deletion',
    text: externalSecret('target:\n  deletionPolicy: Delete'),
    line: 6,
    severity: 'warning',
  },
  {
    rule: 'external-secret-refresh',
    text: externalSecret(`${kept}\nrefreshInterval: 0`),
    line: 6,
    severity: 'error',
  },
  {
    rule: 'external-secret-refresh',
    text: externalSecret(`${kept}\nrefreshInterval: 0s`),
    line: 6,
    severity: 'error',
  },
  {
    rule: 'external-secret-refresh',
    text: externalSecret(`${kept}\nrefreshInterval: often`),
    line: 6,
    severity: 'error',
  },
  {
    rule: 'external-secret-refresh',
    text: externalSecret(`${kept}\nrefreshInterval: 24h`),
    line: 6,
    severity: 'warning',
  },
  {
    rule: 'external-secret-refresh',
    text: externalSecret(`${kept}\nrefreshPolicy: CreatedOnce`),
    line: 6,
    severity: 'error',
  },
  {
    rule: 'external-secret-refresh',
    text: externalSecret(`${kept}\nrefreshPolicy: OnChange`),
    line: 6,
    severity: 'error',
  },
  {
    rule: 'external-secret-refresh',
    text: externalSecret(`${kept}\nrefreshPolicy: periodic`),
    line: 6,
    severity: 'error',
  },
  {
    rule: 'external-secret-deletion',
    text: externalSecret('target:\n  deletionPolicy: merge'),
    line: 6,
    severity: 'error',
  },
  {
    rule: 'split-pair',
    text: [
      externalSecret(`${kept}\ndata: [{secretKey: db-username}]`),
      externalSecret('target: {deletionPolicy: Merge}\ndata: [{secretKey: DB_PASSWORD}]', 'other'),
    ].join('---\n'),
    line: 4,
    severity: 'warning',
  },
];

describe('lint: Secrets and ExternalSecrets', () => {
  it.each(OBJECT_FAULTS)('$rule at line $line', ({ rule, text, line, severity }) => {
    expect(findingsOf(text)).toEqual([expect.objectContaining({ rule, line, severity })]);
  });

  it.each([
    'refreshInterval: 1h',
    'refreshInterval: 30s',
    'refreshInterval: 1m30s',
    'refreshPolicy: Periodic',
  ])('has nothing against %s', (field) => {
    expect(findingsOf(externalSecret(`${kept}\n${field}`))).toEqual([]);
  });

  it('has nothing against a pair in one Secret', () => {
    const whole = `${kept}\ndata: [{secretKey: username}, {secretKey: password}]`;
    const other = 'target: {name: other, deletionPolicy: Merge}\ndata: [{secretKey: password}]';
    expect(findingsOf([externalSecret(whole), externalSecret(other, 'other')].join('---\n'))).toEqual([]);
  });

  it('leaves Secrets alone that no resolver of the stream reads', () => {
    const foreign = externalSecret('refreshInterval: 0', 'unrelated');
    expect(findingsOf([good, foreign].join('---\n'))).toEqual([]);
    const read = externalSecret('refreshInterval: 0');
    expect(findingsOf([good, read].join('---\n')).map(({ rule }) => rule)).toEqual([
      'external-secret-deletion',
      'external-secret-refresh',
    ]);
  });
});

describe('lint: places', () => {
  it('reads YAML as kubectl does: yes is true, 0400 is octal', () => {
    const text = good.replace('runAsUser: 1000, runAsGroup: 1000', 'runAsUser: 1000, privileged: yes');
    expect(findingsOf(text)).toContainEqual(
      expect.objectContaining({
        rule: 'privileged',
        line: 1 + good.slice(0, good.indexOf('runAsUser: 1000, runAsGroup')).split('\n').length - 1,
      }),
    );
    const modes = good.replaceAll('defaultMode: 292 # 0444', 'defaultMode: 0440');
    expect(findingsOf(modes).map(({ rule }) => rule)).toContain('secret-unreadable');
  });

  it('looks through aliases and merge keys', () => {
    const text = good
      .replace(
        'securityContext: {runAsUser: 1000, runAsGroup: 1000}',
        'securityContext: &s {runAsUser: 1000, privileged: true}',
      )
      .replace(
        '      securityContext:\n        runAsUser: 1337',
        '      securityContext:\n        <<: *s\n        runAsUser: 1337',
      );
    const found = findingsOf(text).filter(({ rule }) => rule === 'privileged');
    expect(found.map(({ path }) => path)).toEqual([
      'spec.containers[0].securityContext.privileged',
      'spec.containers[1].securityContext.privileged',
    ]);
    expect(found[0]?.line).toBe(found[1]?.line);
  });

  it.each([
    ['a list of nothing but itself', `&x [*x${',*x'.repeat(4_000)}]`],
    ['aliases of lists that hold nothing', `[&x [&y []${',*y'.repeat(2_000)}]${',*x'.repeat(2_000)}]`],
    ['an alias of nothing', '[*x]'],
    ['a merge of what is no map', '{<<: [1]}'],
  ])('refuses %s', (_what, text) => {
    expect(() => findingsOf(text)).toThrow('m.yaml: has aliases that cannot be expanded');
  });

  it('says which pod templates were not looked at', () => {
    const { passed } = lint({ file: 'm', text: readInput('job.yaml'), choice: {}, rules: RULES });
    expect(passed).toEqual(['Job once- (has no container secret-resolver)']);
  });

  it('notes what a network supervisor of the trusted base may do, and does not call it an error', () => {
    const { text } = inject(requestFor(readInput('sandbox.yaml')));
    expect(findingsOf(text).map(({ rule, severity }) => [rule, severity])).toEqual([
      ['capability', 'note'],
      ['capability', 'note'],
    ]);
  });
});

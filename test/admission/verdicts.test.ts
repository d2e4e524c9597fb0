import { afterAll, beforeAll, expect, it } from 'vitest';
import { RULES } from '../../src/boundary/catalogue.ts';
import { lint } from '../../src/manifest/lint.ts';
import { ENVOY_FAULTS } from '../manifest/envoy-faults.ts';
import { POD_FAULTS } from '../manifest/faults.ts';
import {
  ANNOTATED_ROLES,
  ApiServer,
  BUILD_TIMEOUT_MS,
  deployedPolicies,
  describeWithApiServer,
  namespace,
  rulesOf,
} from './api-server.ts';
import { TABLE } from './table.ts';

/** Rules that only the policy has, each with the reason. */
const ONLY_AT_ADMISSION = new Set(['role-not-found']);

function lintRules(pod: object): string[] {
  const { findings } = lint({ file: 'pod.json', text: JSON.stringify(pod), choice: {}, rules: RULES });
  return [...new Set(findings.filter(({ severity }) => severity !== 'note').map(({ rule }) => rule))].sort();
}

describeWithApiServer('lint and the validating policy', () => {
  let server: ApiServer;
  beforeAll(async () => {
    server = await ApiServer.start([
      ...deployedPolicies(),
      namespace('tenant-a'),
      namespace('allowing', ANNOTATED_ROLES),
    ]);
  }, BUILD_TIMEOUT_MS);
  afterAll(() => server[Symbol.dispose]());

  it('compare at least 120 pods, each under a name of its own', () => {
    expect(TABLE.length).toBeGreaterThanOrEqual(120);
    expect(new Set(TABLE.map(({ name }) => name)).size).toBe(TABLE.length);
  });

  it.each(TABLE)('say the same about $name', async ({ pod, lint: wanted, policy, reason }) => {
    const found = lintRules(pod);
    expect(found).toEqual(wanted.length === 0 ? [] : expect.arrayContaining([...wanted]));
    const answer = await server.request(pod);
    expect(rulesOf(answer)).toEqual(policy ?? found);
    expect(answer.denied === undefined).toBe(answer.warnings.length === 0);
    if (policy !== undefined) expect(reason).toBeTruthy();
  });

  it.each(TABLE.filter(({ policy }) => policy?.join() === 'role-annotation'))(
    'admit $name in a namespace that allows annotated roles',
    async ({ pod }) => {
      const metadata = { ...pod.metadata, namespace: 'allowing' };
      expect(rulesOf(await server.request({ ...pod, metadata }))).toEqual([]);
    },
  );

  it('have the same rules about pods', () => {
    const [validating = ''] = deployedPolicies();
    const ofPolicy = new Set(
      [...validating.matchAll(/^ {6}message: (?:>-\n\s+)?"?([a-z-]+):/gm)].map(([, id]) => id as string),
    );
    const ofPods = RULES.filter(({ about, id }) => about !== 'object' || id === 'resolver-missing');
    const ofLint = new Set(ofPods.map(({ id }) => id));
    const onlyByLint = new Set([
      ...[...POD_FAULTS, ...ENVOY_FAULTS].flatMap(({ rule, lintOnly }) =>
        lintOnly === undefined ? [] : rule,
      ),
      'exe-unreadable', // the policy does not see the ConfigMap of the configuration
    ]);
    expect([...ofLint].filter((id) => !ofPolicy.has(id) && !onlyByLint.has(id))).toEqual([]);
    expect([...ofPolicy].filter((id) => !ofLint.has(id)).sort()).toEqual([...ONLY_AT_ADMISSION].sort());
  });
});

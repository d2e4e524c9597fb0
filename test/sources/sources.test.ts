import { expect, it } from 'vitest';
import { sourceOf, volumeDirectory } from '../../src/sources/index.ts';

const SECRET = { namespace: 'team-a', name: 'gitlab' };

it('a Secret is read by the source that it names, by default the one of kubelet', () => {
  expect(sourceOf(SECRET)).toBe(sourceOf({ ...SECRET, source: 'kubernetesSecret' }));
  expect(volumeDirectory({ secretsRoot: '/secrets' }, SECRET)).toBe('/secrets/team-a/gitlab');
});

it('a source that nobody registered is a defect, and named', () => {
  expect(() => sourceOf({ ...SECRET, source: 'elsewhere' })).toThrow('no source of type elsewhere');
});

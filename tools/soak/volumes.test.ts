/** The volumes of a run, changed and damaged in any order: it must never be the harness that breaks. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { newSecret } from '../../test/support/secrets.ts';
import { Workspace } from '../../test/support/workspace.ts';
import { History } from './history.ts';
import { taggedValue } from './observation.ts';
import { pick, randomFrom } from './plan.ts';
import { chooseSecret, SECRETS, Volumes } from './volumes.ts';

it.each(Array.from({ length: 8 }, (_, seed) => seed))(
  'carries out any order of changes (seed %i)',
  (seed) => {
    using workspace = new Workspace();
    const history = new History();
    const prefix = newSecret('soak');
    const volumes = new Volumes(workspace, history, prefix);
    const random = randomFrom(seed);
    for (const secret of SECRETS) volumes.rotate(secret);
    for (let change = 0; change < 250; change++) {
      const secret = chooseSecret(random);
      pick(random, [
        () => volumes.rotate(secret),
        () => volumes.removeKeys(secret, random),
        () => volumes.removeSecret(secret),
        () => volumes.badValues(secret, random),
        () => volumes.oddShape(secret, random),
        () => volumes.oddShape(secret, random),
      ])();
    }
    for (const secret of SECRETS) {
      volumes.rotate(secret);
      const { generation, keys = new Set<string>() } = history.current(secret) ?? {};
      const data = join(workspace.secret(secret).directory, '..data');
      expect(keys.size).toBeGreaterThan(0);
      for (const key of keys)
        expect(readFileSync(join(data, key), 'utf8')).toBe(taggedValue(prefix, secret, generation ?? 0, key));
      expect(
        readdirSync(workspace.secret(secret).directory).filter((name) => name.startsWith('..')),
      ).toHaveLength(2);
    }
  },
);

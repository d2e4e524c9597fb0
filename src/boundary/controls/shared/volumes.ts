/** What several checks on the mounted Secret volumes share. */

import { fail, listed, modeText, pass, unknown, type Verdict } from '../../control.ts';
import type { Facts } from '../../facts/facts.ts';
import type { PathFacts, SecretVolumeFacts } from '../../facts/facts-mounts.ts';

/** What mounts a Secret. */
export const MOUNT_IT =
  'volumeMounts: [{name: <secret>, mountPath: <the path>, readOnly: true}], one for each Secret';

/**
 * Runs a check on each volume: `wrong` says what is wrong with one, or undefined where it is right. It is `unknown` where
 * a volume, or the mount that the check `needs`, does not exist: that proves nothing.
 */
export function eachVolume(
  facts: Facts,
  right: string,
  remedy: string,
  wrong: (volume: SecretVolumeFacts) => string | undefined,
  needs: 'folder' | 'mount' = 'folder',
): Verdict {
  const { secrets } = facts.mounts;
  if (secrets.length === 0) return pass('the configuration refers to no Secret');
  const missing = secrets.filter((volume) => volume.folder === undefined || volume[needs] === undefined);
  const faults = secrets.flatMap((volume) => {
    const fault = volume.folder === undefined ? undefined : wrong(volume);
    return fault === undefined ? [] : [`${volume.path} ${fault}`];
  });
  if (faults.length > 0) return fail(listed(faults), remedy);
  if (missing.length > 0) {
    const what = missing.map(
      ({ path, folder }) => `${path} ${folder === undefined ? 'does not exist' : 'is not a mount'}`,
    );
    return unknown(`nothing to check: ${listed(what)}`, MOUNT_IT);
  }
  return pass(`${secrets.length} ${secrets.length === 1 ? 'volume' : 'volumes'}: ${right}`);
}

/** `/run (0:0 0755)`. */
export function ownerText(path: PathFacts): string {
  return `${path.path} (${path.uid}:${path.gid} ${modeText(path.mode)})`;
}

/** What several checks on the mounted Secret volumes share. */
import type { Facts } from '../../facts/facts.ts';
import type { PathFacts, SecretVolumeFacts } from '../../facts/facts-mounts.ts';
import { fail, listed, modeText, pass, type Verdict } from '../../finding.ts';

/** Runs a check on each volume: `wrong` says what is wrong with one, or undefined where it is right. */
export function eachVolume(
  facts: Facts,
  right: string,
  remedy: string,
  wrong: (volume: SecretVolumeFacts) => string | undefined,
): Verdict {
  const { secrets } = facts.mounts;
  if (secrets.length === 0) return pass('the configuration refers to no Secret');
  const there = secrets.filter((volume) => volume.folder !== undefined);
  const faults = secrets.flatMap((volume) => {
    const fault = wrong(volume);
    return fault === undefined ? [] : [`${volume.path} ${fault}`];
  });
  if (faults.length > 0) return fail(listed(faults), remedy);
  if (there.length === 0) return pass('no volume to look at'); // mount-point fails for it
  return pass(`${there.length} ${there.length === 1 ? 'volume' : 'volumes'}: ${right}`);
}

/** `/run (0:0 0755)`. */
export function ownerText(path: PathFacts): string {
  return `${path.path} (${path.uid}:${path.gid} ${modeText(path.mode)})`;
}

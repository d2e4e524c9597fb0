/**
 * An atomic writer in a process of its own, as kubelet is one. Rotates one Secret as fast as it is told to and
 * prints a line a rotation, so that a test knows what was on the volume when.
 *
 *   rotate.ts <directory> <rotations> <keys> <pause in ms>
 *
 * Every value of rotation N is `<prefix>-N-<key>`, with the prefix from the environment: a mixture of two
 * rotations is seen at a glance. In every tenth rotation the last key is missing. The prefix is the secret.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SecretVolume } from './secret-volume.ts';

const [directory = '', rotations = '0', keys = '0', pause = '0'] = process.argv.slice(2);
const prefix = process.env.VALUE_PREFIX ?? '';
const volume = new SecretVolume(directory);

for (let rotation = 1; rotation <= Number(rotations); rotation++) {
  const count = rotation % 10 === 0 ? Number(keys) - 1 : Number(keys);
  const data = Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`KEY_${index}`, `${prefix}-${rotation}-${index}`]),
  );
  volume.write(data);
  process.stdout.write(`${rotation} ${process.hrtime.bigint()}\n`);
  if (Number(pause) > 0) await sleep(Number(pause));
}

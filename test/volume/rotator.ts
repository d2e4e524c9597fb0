/**
 * A writer of its own process: rotates a volume a number of times without pause, each key of generation `i`
 * holding `<seed>.<i>`, and every third generation with one key less.
 *
 *   node rotator.ts <directory> <rotations> <keys> <seed>
 */
import { SecretVolume } from '../support/secret-volume.ts';

const [directory = '', rotations = '0', keys = '0', seed = ''] = process.argv.slice(2);
const volume = new SecretVolume(directory);
for (let rotation = 1; rotation <= Number(rotations); rotation++) {
  const count = rotation % 3 === 0 ? Number(keys) - 1 : Number(keys);
  volume.write(
    Object.fromEntries(Array.from({ length: count }, (_, key) => [`key-${key}`, `${seed}.${rotation}`])),
  );
}

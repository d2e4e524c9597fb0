/**
 * kubelet's atomic writer in a process of its own. Each message `{directory, prefix, rotation, keys}` makes one
 * rotation, and is answered with the moment right before `..data` was swung, on the monotonic clock that all
 * processes share.
 */
import { SecretVolume } from '../../../test/support/secret-volume.ts';
import { generation } from '../generations.ts';

export interface Rotation {
  readonly directory: string;
  readonly prefix: string;
  readonly rotation: number;
  readonly keys: number;
}

/** Each made once: to make one changes the mode of its directory, which kubelet does only where a pod has an fsGroup. */
const volumes = new Map<string, SecretVolume>();

process.on('message', ({ directory, prefix, rotation, keys }: Rotation) => {
  let at = 0n;
  const volume = volumes.get(directory) ?? new SecretVolume(directory);
  volumes.set(directory, volume);
  volume.write(generation(prefix, rotation, keys), 0o444, () => {
    at = process.hrtime.bigint();
  });
  process.send?.({ rotation, at });
});
process.send?.({ ready: true });

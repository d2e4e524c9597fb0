/** What kubelet does and podman does not: start a native sidecar first, and wait for its startup probe. */
import { execa } from 'execa';
import { RESOLVER } from '../../src/manifest/names.ts';
import type { Outcome, Podman } from '../support/podman.ts';
import type { PodManifest } from './for-podman.ts';

/** Seconds that the resolver may take until it is SERVING. */
const STARTUP_SECONDS = 30;

/**
 * Starts a pod: the resolver, and once it serves podman's own order, in which init containers must end with 0
 * before any other container is started. The outcome is that of the latter.
 */
export async function startPod(
  podman: Podman,
  pod: PodManifest,
  healthPort: number,
  /** Starts what comes between the resolver and the self-test. */
  between: () => Promise<unknown> = async () => {},
): Promise<Outcome> {
  await podman.playPod(pod, false);
  const resolver = `${pod.metadata.name}-${RESOLVER}`;
  await podman.run(['start', resolver]);
  const { pid } = await podman.state(resolver);
  // As kubelet's probe it comes from outside: only the network is the pod's.
  const check = [process.execPath, 'test/pod/health-check.ts', String(healthPort), String(STARTUP_SECONDS)];
  const { exitCode } = await execa('nsenter', [`--net=/proc/${pid}/ns/net`, ...check], { reject: false });
  if (exitCode !== 0) {
    throw new Error(
      `the resolver did not come to serve (health check: ${exitCode}):\n${await podman.logs(resolver)}`,
    );
  }
  await between();
  return podman.run(['pod', 'start', pod.metadata.name], { mayFail: true });
}

/**
 * Builds the image with Docker's BuildKit on the bases of the tests, which podman makes of this machine's own files, so that
 * no registry is asked for one. Then runs it. Needs root, the packages of .ci/install, and a Docker with buildx, which
 * DOCKER_HOST may name. Further arguments go to `docker buildx build`. Not part of CI.
 */
import { join } from 'node:path';
import { execa } from 'execa';
import { BUILD_BASE, buildFromDockerfile, NODE_BASE } from '../../test/support/images.ts';
import { Podman } from '../../test/support/podman.ts';

const TAG = 'mounted-secret-resolver:buildx';
const docker = (...args: string[]) =>
  execa('docker', args, { stdout: ['pipe', 'inherit'], stderr: 'inherit' });

{
  await using podman = await Podman.open();
  await buildFromDockerfile(podman, { tag: 'localhost/tree:test', target: 'tree' });
  const archive = join(podman.folder, 'bases.tar');
  await podman.run(['save', '--quiet', '--multi-image-archive', '--output', archive, BUILD_BASE, NODE_BASE]);
  await docker('load', '--input', archive);
}
const bases = ['--build-arg', `BUILD_IMAGE=${BUILD_BASE}`, '--build-arg', `BASE_IMAGE=${NODE_BASE}`];
const more = process.argv.slice(2);
await docker('buildx', 'build', '.', '--network=host', '--load', '--tag', TAG, ...bases, ...more);
await docker('run', '--rm', '--network=none', '--read-only', '--cap-drop=ALL', TAG, '--version');
await docker('image', 'inspect', TAG, '--format', '{{.Architecture}}, {{.Size}} bytes');

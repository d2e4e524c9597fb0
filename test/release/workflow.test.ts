/**
 * The steps of the release workflow as GitHub runs them, in their order, in a copy of the checkout. npm packs and helm
 * packages; stand-ins write down what docker, cosign, `npm publish`, `helm push` and gh are asked for.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parse } from 'yaml';
import { VERSION } from '../../src/domain/version.ts';
import { BUILD_TIMEOUT_MS, buildGo } from '../admission/api-server.ts';
import { npmProgram } from '../support/npm.ts';
import { find } from '../support/podman.ts';
import { describeIf } from '../support/root.ts';

const ROOT = join(import.meta.dirname, '../..');
const DIGEST = `sha256:${'ab'.repeat(32)}`;
const CHART_DIGEST = `sha256:${'cd'.repeat(32)}`;
const IMAGE = 'ghcr.io/someone/my-secret-resolver';

interface Step {
  readonly id?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
}
interface Job {
  readonly env: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

/** Each notes its call; `$FAILS` names the one that fails. */
const NOTE = `#!/bin/bash
echo "\${0##*/} $*" >>"$CALLS"
if [[ -n $FAILS && "\${0##*/} $*" == *"$FAILS"* ]]; then exit 1; fi
`;
const STAND_INS = {
  docker: `${NOTE}case "$*" in
  login*) sed 's/^/  stdin: /' >>"$CALLS" ;;
  "buildx inspect release") exit 1 ;;
  "buildx build "*) while [ "$1" != --metadata-file ]; do shift; done
    echo '{"containerimage.digest": "${DIGEST}"}' >"$2" ;;
  "buildx imagetools inspect "*) echo ${DIGEST} ;;
esac
`,
  gh: `${NOTE}sed 's/^/  stdin: /' >>"$CALLS"\n`,
  go: `${NOTE}case "$*" in
  *" push "*) registry=\${*: -1}; printf 'Pushed: %s\\nDigest: %s\\n' "\${registry#oci://}/secret-resolver:${VERSION}" ${CHART_DIGEST} >&2 ;;
esac
`,
  npm: `#!/bin/bash
case $1 in publish | ci) ;; *) exec "$REAL_NPM" "$@" ;; esac
${NOTE.replace('#!/bin/bash\n', '')}`,
};

describeIf('the steps of a release', find('go') === undefined ? 'install Go' : undefined, () => {
  let root: string;
  let copy: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'workflow-'));
    copy = join(root, 'checkout');
    const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    for (const file of execFileSync('git', list, { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(Boolean))
      cpSync(join(ROOT, file), join(copy, file), { recursive: true, verbatimSymlinks: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    const changelog = readFileSync(join(copy, 'CHANGELOG.md'), 'utf8');
    writeFileSync(
      join(copy, 'CHANGELOG.md'),
      changelog.replace(/^## \[Unreleased\]$/m, `## [${VERSION}] - 2026-01-31`),
    );
    mkdirSync(join(root, 'bin'));
    for (const [name, text] of Object.entries(STAND_INS)) {
      writeFileSync(join(root, 'bin', name), text);
      chmodSync(join(root, 'bin', name), 0o755);
    }
    const git = ['-c', 'user.name=a', '-c', 'user.email=a@b.example', '-c', 'commit.gpgsign=false'];
    execFileSync('git', ['init', '-q'], { cwd: copy });
    execFileSync('git', [...git, 'commit', '-q', '--allow-empty', '-m', 'a'], { cwd: copy });
  });
  afterEach(() => rmSync(root, { recursive: true }));

  /** Runs the steps of both jobs that are ours until one fails, and returns the calls and the step that failed. */
  async function release(fails = '') {
    const helm = await buildGo('helm.sh/helm/v4/cmd/helm', 'helm', join(ROOT, 'test/chart'));
    const workflow = parse(readFileSync(join(ROOT, '.github/workflows/release.yml'), 'utf8'));
    const known: Record<string, string> = {
      'github.ref_name': `v${VERSION}`,
      'github.repository': 'Someone/My-Secret-Resolver',
      'github.repository_owner': 'Someone',
      'github.server_url': 'https://github.com',
      'github.token': 'the-token',
    };
    const value = (text: string) =>
      text.replaceAll(/\$\{\{ ([\w.]+) \}\}/g, (_, name: string) => {
        expect(known, name).toHaveProperty([name]);
        return known[name] ?? '';
      });
    const fixed = {
      PATH: [join(root, 'bin'), process.env.PATH].join(delimiter),
      HOME: root,
      HELM: helm,
      REAL_NPM: npmProgram(),
      CALLS: join(root, 'calls'),
      FAILS: fails,
      GITHUB_ACTOR: 'someone',
    };
    let failed: string | undefined;
    for (const { env, steps } of [workflow.jobs.image, workflow.jobs.publish] as Job[])
      for (const { id = 'none', run, env: own } of steps) {
        if (run === undefined || failed !== undefined) continue;
        const output = join(root, 'output');
        writeFileSync(output, '');
        const variables = Object.entries({ ...env, ...own }).map(([name, text]) => [name, value(text)]);
        const { exitCode, stderr } = await execa('bash', ['-e', '-c', run], {
          cwd: copy,
          env: { ...fixed, GITHUB_OUTPUT: output, ...Object.fromEntries(variables) },
          extendEnv: false,
          reject: false,
        });
        if (exitCode !== 0) failed = `${run}\n${stderr}`;
        for (const [, name, text = ''] of readFileSync(output, 'utf8').matchAll(/^(\w+)=(.*)$/gm))
          known[`steps.${id}.outputs.${name}`] = text;
      }
    return { failed, calls: readFileSync(join(root, 'calls'), 'utf8').trim().split('\n') };
  }

  it(
    'publish the image, both packages, the chart and the notes, each by its digest',
    async () => {
      const { failed, calls } = await release();
      expect(failed).toBeUndefined();
      const revision = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: copy, encoding: 'utf8' }).trim();
      const login = ['docker login ghcr.io --username someone --password-stdin', '  stdin: the-token'];
      const base = (name: string) => {
        const [, image = ''] =
          new RegExp(`^ARG ${name}=(.+)`, 'm').exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8')) ?? [];
        return { image, pinned: `--build-arg ${name}=${image}@${DIGEST}` };
      };
      const lookUp = (name: string) =>
        `docker buildx imagetools inspect --format {{.Manifest.Digest}} ${base(name).image}`;
      const cosign = calls.find((call) => call.includes('cosign'))?.replace(/ sign .*/, ' sign --yes');
      expect(cosign).toMatch(/^go run github\.com\/sigstore\/cosign\/v3\/cmd\/cosign@v[\d.]+ sign --yes$/);
      const packages = ['', '-client'].map(
        (suffix) => `release/mounted-secret-resolver${suffix}-${VERSION}.tgz`,
      );
      const chart = `release/secret-resolver-${VERSION}.tgz`;
      expect(calls.filter((call) => !call.startsWith('  stdin:') || call === login[1])).toEqual([
        ...login,
        lookUp('BUILD_IMAGE'),
        lookUp('BASE_IMAGE'),
        'docker buildx inspect release',
        'docker buildx create --name release --driver docker-container',
        `docker buildx build . --builder release --pull ${base('BUILD_IMAGE').pinned} ${base('BASE_IMAGE').pinned} --build-arg VERSION=${VERSION} --build-arg REVISION=${revision} --build-arg SOURCE=https://github.com/Someone/My-Secret-Resolver --sbom=true --provenance=mode=max --output type=image,name=${IMAGE},push-by-digest=true,name-canonical=true,push=true --metadata-file digests/metadata.json`,
        ...login,
        'npm ci --no-fund --no-audit',
        `docker buildx imagetools create --tag ${IMAGE}:${VERSION} ${IMAGE}@${DIGEST}`,
        `docker buildx imagetools inspect --format {{.Manifest.Digest}} ${IMAGE}:${VERSION}`,
        `${cosign} ${IMAGE}@${DIGEST}`,
        `go run helm.sh/helm/v4/cmd/helm push ${join(copy, chart)} oci://ghcr.io/someone/charts`,
        `${cosign} ghcr.io/someone/charts/secret-resolver@${CHART_DIGEST}`,
        ...packages.map((file) => `npm publish ${file} --provenance --access public`),
        `gh release create v${VERSION} --verify-tag --title v${VERSION} --notes-file - ${[...packages, chart].join(' ')}`,
      ]);
      expect(calls).toContain('  stdin: ### Added');
      const holds = (file: string) => execFileSync('tar', ['tf', join(copy, file)], { encoding: 'utf8' });
      expect(packages.map(holds)).toEqual([
        expect.stringContaining('package/dist/main.js'),
        expect.stringContaining('package/dist/client/index.js'),
      ]);
      expect(holds(packages[1] ?? '')).not.toContain('package/dist/main.js');
      expect(
        execFileSync('tar', ['xOf', join(copy, chart), 'secret-resolver/values.yaml'], { encoding: 'utf8' }),
      ).toMatch(new RegExp(`repository: ${IMAGE}\\n(.*\\n)*  digest: "${DIGEST}"`));
    },
    BUILD_TIMEOUT_MS,
  );

  it.each([
    ['imagetools inspect --format {{.Manifest.Digest}} docker.io', 'image build'],
    ['buildx build', 'image build'],
    ['imagetools create', 'image join'],
    [`Digest}} ${IMAGE}`, 'image join'],
    ['helm push', 'publish chart'],
  ])(
    'end with the step that failed: %s',
    async (fails, step) => {
      const { failed, calls } = await release(fails);
      expect(failed).toContain(`.ci/release/${step}`);
      expect(calls.at(-1)).toContain(fails);
    },
    BUILD_TIMEOUT_MS,
  );
});

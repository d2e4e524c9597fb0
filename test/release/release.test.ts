import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { BUILD_TIMEOUT_MS, buildGo } from '../admission/api-server.ts';
import { find } from '../support/podman.ts';
import { pythonTool } from '../support/python-tools.ts';
import { describeIf } from '../support/root.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const WORKFLOWS = readdirSync(join(ROOT, '.github/workflows')).map((name) => `.github/workflows/${name}`);
const MODULE = join(ROOT, 'test/chart');

interface Step {
  readonly uses?: string;
  readonly run?: string;
}
interface Workflow {
  readonly permissions: Record<string, string>;
  readonly jobs: Record<string, { readonly steps?: readonly Step[] }>;
}
const steps = WORKFLOWS.flatMap((file) =>
  Object.values((parse(read(file)) as Workflow).jobs).flatMap((job) => job.steps ?? []),
);

const withoutGo = find('go') === undefined ? 'install Go' : undefined;

describeIf('actionlint', withoutGo, () => {
  it(
    'finds nothing in the workflows',
    async () => {
      const actionlint = await buildGo('github.com/rhysd/actionlint/cmd/actionlint', 'actionlint', MODULE);
      const { stdout, exitCode } = await execa(actionlint, ['-no-color', ...WORKFLOWS], {
        cwd: ROOT,
        reject: false,
      });
      expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 0 });
    },
    BUILD_TIMEOUT_MS,
  );
});

describe('the workflows', () => {
  it('name no secret, and may read the repository unless a job asks for more', () => {
    for (const file of WORKFLOWS) {
      expect(read(file), file).not.toMatch(/\bsecrets\b/);
      expect((parse(read(file)) as Workflow).permissions, file).toEqual({ contents: 'read' });
    }
  });

  it('pin each action by the commit that RELEASING.md names', () => {
    const used = WORKFLOWS.flatMap((file) => [...read(file).matchAll(/uses: ([^.\s]\S*)(?: # (\S+))?$/gm)]);
    expect(used.length).toBe(steps.filter(({ uses }) => uses !== undefined).length);
    const releasing = read('RELEASING.md').replaceAll(/ +/g, ' ');
    for (const [, action = '', tag] of used) {
      const [, name, commit] = /^([^/]+\/[^/@]+)[^@]*@([0-9a-f]{40})$/.exec(action) ?? [];
      expect(releasing, action).toContain(`| \`${name}\` | ${tag} | \`${commit}\` |`);
    }
  });

  it('run scripts of this repository, each of which RELEASING.md describes', () => {
    const runs = steps.flatMap(({ run }) => run ?? []);
    const foreign = runs.filter((run) => !run.includes('.ci/'));
    expect(new Set(foreign.map((run) => run.split(' ', 2).join(' ')))).toEqual(
      new Set(['docker login', 'npm ci']),
    );
    for (const script of readdirSync(join(ROOT, '.ci/release'))) {
      if (script !== 'notes')
        expect(
          runs.some((run) => run.includes(`.ci/release/${script} `)),
          script,
        ).toBe(true);
      expect(read('RELEASING.md')).toContain(`\`.ci/release/${script}`);
    }
  });
});

describeIf('the scripts of a release', withoutGo, () => {
  let copy: string;
  beforeEach(() => {
    copy = mkdtempSync(join(tmpdir(), 'release-'));
    for (const path of [
      '.ci',
      '.pre-commit-hooks.yaml',
      'package.json',
      'Dockerfile',
      'CHANGELOG.md',
      'deploy',
    ])
      cpSync(join(ROOT, path), join(copy, path), { recursive: true, dereference: true });
    change('CHANGELOG.md', /^## \[Unreleased\]$/m, '## [0.1.0] - 2026-01-31');
  });
  afterEach(() => rmSync(copy, { recursive: true }));

  function change(file: string, from: RegExp, to: string): void {
    const text = readFileSync(join(copy, file), 'utf8');
    expect(text).toMatch(from);
    writeFileSync(join(copy, file), text.replace(from, to));
  }
  const run = (script: string, args: readonly string[], env = {}) =>
    execa(join(copy, '.ci/release', script), args, { reject: false, env });

  it('accept a tag that every file agrees with', async () => {
    expect(await run('verify', ['v0.1.0'])).toMatchObject({ exitCode: 0, stderr: '' });
  });

  it.each([
    ['package.json', /"version": "0.1.0"/, '"version": "0.1.1"'],
    ['deploy/chart/Chart.yaml', /^version: 0.1.0/m, 'version: 0.1.1'],
    ['deploy/chart/Chart.yaml', /^appVersion: 0.1.0/m, 'appVersion: 0.1.1'],
    ['.pre-commit-hooks.yaml', /resolver@0.1.0/, 'resolver@0.1.1'],
    ['Dockerfile', /ARG VERSION=0.1.0/, 'ARG VERSION=0.1.1'],
    ['CHANGELOG.md', /\[0.1.0\] - 2026-01-31/, '[0.1.0] - soon'],
  ])('refuse a tag that %s disagrees with (%s)', async (file, from, to) => {
    change(file, from, to);
    const { exitCode, stderr } = await run('verify', ['v0.1.0']);
    expect(exitCode).toBe(1);
    expect(stderr.split('\n')).toEqual([expect.stringMatching(`^verify: ${file} has no `)]);
  });

  it('refuse what is no version', async () => {
    for (const tag of ['0.1.0', 'v0.1', 'v0.1.0;x', 'latest'])
      expect((await run('verify', [tag])).exitCode).toBe(2);
  });

  it('print the section of one version as notes', async () => {
    writeFileSync(
      join(copy, 'CHANGELOG.md'),
      '# Changelog\n\n## [Unreleased]\n\n- x\n\n## [0.2.0] - 2026-02-01\n\n### Added\n\n- y\n\n## [0.1.0] - 2026-01-31\n\n- z\n',
    );
    expect((await run('notes', ['0.2.0'])).stdout).toBe('### Added\n\n- y\n');
    expect((await run('notes', ['0.1.0'])).stdout).toBe('- z');
    expect((await run('notes', ['0.3.0'])).stdout).toBe('');
  });

  it(
    'package a chart that defaults to the image that was released',
    async () => {
      const helm = await buildGo('helm.sh/helm/v4/cmd/helm', 'helm', MODULE);
      const digest = `sha256:${'ab'.repeat(32)}`;
      const image = 'ghcr.io/someone/mounted-secret-resolver';
      const { stdout } = await run('chart', [copy, image, digest], { HELM: helm });
      expect(stdout).toBe(join(copy, 'secret-resolver-0.1.0.tgz'));
      const rendered = await execa(helm, ['template', 'x', stdout]);
      const images = new Set(rendered.stdout.match(/(?<=image: ).*secret-resolver.*/g));
      expect(images).toEqual(new Set([`${image}@${digest}`]));
    },
    BUILD_TIMEOUT_MS,
  );
});

describeIf('hadolint', find('pip3') === undefined ? 'install pip3' : undefined, () => {
  it('finds nothing in the Dockerfile', async () => {
    const { output, exitCode } = await pythonTool('hadolint', ['--no-color', join(ROOT, 'Dockerfile')]);
    expect({ output, exitCode }).toEqual({ output: '', exitCode: 0 });
  });
});

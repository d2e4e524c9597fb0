import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Log } from 'sarif';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { VERSION } from '../../src/domain/version.ts';
import { CHECKOUT, MAIN, NODE } from '../support/checkout.ts';

const ROOT = join(import.meta.dirname, '../..');
const SCRIPT = join(ROOT, '.github/actions/lint/lint');

describe('the GitHub action', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'action-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function lint(files: string, args = '') {
    const sarif = join(folder, 'x.sarif');
    const output = join(folder, 'output');
    rmSync(output, { force: true });
    const { exitCode, stderr } = await execa(SCRIPT, {
      cwd: CHECKOUT,
      env: {
        FILES: files,
        ARGUMENTS: args,
        SARIF: sarif,
        GITHUB_OUTPUT: output,
        SECRET_RESOLVER: `${NODE} ${MAIN}`,
      },
      reject: false,
    });
    if (exitCode !== 0) return { exitCode, stderr };
    const log = JSON.parse(readFileSync(sarif, 'utf8')) as Log;
    return {
      status: readFileSync(output, 'utf8'),
      results: log.runs[0]?.results?.map(({ ruleId }) => ruleId),
    };
  }

  it('passes manifests in order, whose notes it reports', async () => {
    expect(await lint('deploy/base\n\n  \ndeploy/stores\n')).toEqual({
      status: 'status=0\n',
      results: ['capability', 'capability'],
    });
  });

  it('reports findings, and takes arguments one a line', async () => {
    const ignored = await lint('deploy/openshell/gateway-driver.yaml', '--ignore=role-annotation');
    expect(ignored).toMatchObject({ status: 'status=0\n' });
    const found = await lint(
      'test/manifest/input/pod.yaml\ndeploy/base',
      '--image=other.example/secret-resolver:1',
    );
    expect(found.status).toBe('status=1\n');
    expect(found.results).toContain('resolver-command');
  });

  it('fails at once where it cannot read', async () => {
    const { exitCode, stderr } = await lint('nowhere.yaml');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('nowhere.yaml: cannot be read');
  });

  it('calls that script, and uploads by the commit that RELEASING.md names', () => {
    const { runs } = parse(readFileSync(join(ROOT, '.github/actions/lint/action.yml'), 'utf8'));
    const [script, upload, last] = runs.steps;
    expect(script.run).toBe('"$GITHUB_ACTION_PATH/lint"');
    expect(readFileSync(join(ROOT, 'RELEASING.md'), 'utf8')).toContain(upload.uses.split('@')[1]);
    expect(last.run).toBe('exit "$STATUS"');
  });
});

it('the pre-commit hook is the command that lints files', async () => {
  const [hook] = parse(readFileSync(join(ROOT, '.pre-commit-hooks.yaml'), 'utf8'));
  expect(hook.entry).toMatch(new RegExp(`^npx --yes mounted-secret-resolver@${VERSION} `));
  const words = hook.entry.split(' ').slice(3);
  const { exitCode } = await execa(
    NODE,
    [MAIN, ...words, 'deploy/base/sandbox-template.yaml', 'deploy/base/namespace.yaml'],
    {
      cwd: CHECKOUT,
    },
  );
  expect(exitCode).toBe(0);
});

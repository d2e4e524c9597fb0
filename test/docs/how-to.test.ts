/** Every YAML block of the how-to pages is valid, whoever's it is, and the blocks of a page fit together. */
import { mkdirSync, mkdtempDisposableSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { RULES } from '../../src/boundary/catalogue.ts';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { lint } from '../../src/manifest/lint.ts';
import { validateObject } from '../deploy/schemas.ts';
import { blocks } from './blocks.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = join(ROOT, 'docs/how-to');
const ENVIRONMENT = {
  SECRET_RESOLVER_SANDBOX_ID: 'x',
  SECRET_RESOLVER_SANDBOX_NAME: 'x',
  SECRET_RESOLVER_SANDBOX_NAMESPACE: 'agents',
};
const MODELS = '@kubernetes-models/external-secrets';

const all = readdirSync(PAGES).flatMap((page) =>
  blocks(join(PAGES, page), 'yaml').map((block, index) => ({
    page,
    where: `${page}, block ${index + 1}`,
    block,
  })),
);

/** What the documents of a block are, and their data. */
function documentsOf(block: string) {
  return parseAllDocuments(block, { version: '1.1' }).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS();
  });
}

/** Checks a configuration or a provider file of ours as `config validate` does. */
function load(block: string, isProvider: boolean): void {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'msr-'));
  mkdirSync(join(folder.path, 'providers'));
  writeFileSync(join(folder.path, 'config.yaml'), isProvider ? 'callers: []\n' : block);
  if (isProvider) writeFileSync(join(folder.path, 'providers/p.yaml'), block);
  const config = loadConfig(join(folder.path, 'config.yaml'), ENVIRONMENT, {
    providersDir: join(folder.path, 'providers'),
  });
  for (const { endpoints } of config.providers) expect(endpoints).not.toEqual([]);
}

describe('the how-to pages', () => {
  it('have blocks on each page', () => {
    expect([...new Set(all.map(({ page }) => page))].sort()).toEqual(readdirSync(PAGES).sort());
  });

  it.each(all)('$where is valid', ({ block }) => {
    for (const data of documentsOf(block)) {
      if (data.apiVersion !== undefined) validateObject(data);
      else load(block, data.provider !== undefined);
    }
  });

  // The published schemas pass unknown fields over; the published types do not.
  it('have no field that the objects do not know', async () => {
    const objects = all.flatMap(({ block }) => documentsOf(block)).filter(({ apiVersion }) => apiVersion);
    const lines = objects.map(
      (data, index) =>
        `export const o${index}: import('${MODELS}/${data.apiVersion}').I${data.kind} = ${JSON.stringify(data)};`,
    );
    using folder = mkdtempDisposableSync(join(tmpdir(), 'msr-'));
    symlinkSync(join(ROOT, 'node_modules'), join(folder.path, 'node_modules'));
    writeFileSync(join(folder.path, 'objects.mts'), lines.join('\n'));
    const flags = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'esnext'];
    const tsc = join(ROOT, 'node_modules/.bin/tsc');
    const { stdout, exitCode } = await execa(tsc, [...flags, 'objects.mts'], {
      cwd: folder.path,
      reject: false,
    });
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 0 });
  });

  it('have ExternalSecrets that lint finds nothing in', () => {
    const text = all.map(({ block }) => block).filter((block) => block.includes('\nkind: ExternalSecret\n'));
    const { findings, checked } = lint({
      file: 'how-to',
      text: text.join('---\n'),
      choice: {},
      rules: RULES,
    });
    expect(findings.filter(({ severity }) => severity !== 'note')).toEqual([]);
    expect(checked).toHaveLength(5);
  });

  it('take the time of expiry from a key that the ExternalSecret before writes', () => {
    const documents = all
      .filter(({ page }) => page === 'short-lived.md')
      .flatMap(({ block }) => documentsOf(block));
    const written = new Map(
      documents
        .filter(({ kind }) => kind === 'ExternalSecret')
        .map(({ spec }) => [spec.target.name, Object.keys(spec.target.template.data)]),
    );
    const credentials = documents.flatMap(({ provider }) => Object.values(provider?.credentials ?? {}));
    expect(credentials).toHaveLength(6);
    for (const { source, expiresAt } of credentials as {
      source: { name: string };
      expiresAt: { key: string };
    }[])
      expect(written.get(source.name)).toContain(expiresAt.key);
  });
});

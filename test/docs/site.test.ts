/** The documents as a site, built by VitePress: every link in it leads to a page and a heading of it. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { NODE } from '../support/checkout.ts';
import { removeWithUs } from '../support/leftovers.ts';
import { npmProgram } from '../support/npm.ts';

const VITEPRESS = 'vitepress@1.6.4';
const SOURCE_URL = 'https://source.example';

/** A copy of what git has or would take, for VitePress writes beside its configuration. */
function copyOfCheckout(to: string): void {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard']);
  for (const file of listed.toString().split('\0').filter(existsSync)) {
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(file, join(to, file), { recursive: true, verbatimSymlinks: true });
  }
}

/** Links of every page that lead to no page, to no heading, or to no file of the repository. */
function brokenLinks(site: string): string[] {
  return globSync('**/*.html', { cwd: site }).flatMap((page) => {
    const html = readFileSync(join(site, page), 'utf8');
    const links = [...html.matchAll(/<a [^>]*href="([^"]+)"/g)].map(([, href = '']) => href);
    return links.filter((href) => isBroken(site, page, href)).map((href) => `${page}: ${href}`);
  });
}

function isBroken(site: string, page: string, href: string): boolean {
  if (href.startsWith(`${SOURCE_URL}/blob/main/`))
    return !existsSync(href.slice(`${SOURCE_URL}/blob/main/`.length));
  if (/^[a-z]+:/.test(href)) return false;
  const [path = '', anchor] = href.split('#');
  const target = path === '' ? page : path.endsWith('/') ? `${path}index.html` : `${path}.html`;
  if (!existsSync(join(site, target))) return true;
  return (
    anchor !== undefined &&
    !readFileSync(join(site, target), 'utf8').includes(`id="${decodeURIComponent(anchor)}"`)
  );
}

it('the documents are built as a site without a broken link', { timeout: 300_000 }, async () => {
  const root = mkdtempSync(join(tmpdir(), 'msr-site-'));
  const remove = removeWithUs(root);
  try {
    writeFileSync(join(root, 'package.json'), '{}');
    const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
    await execa(NODE, [npmProgram(), 'install', VITEPRESS, ...flags], { cwd: root });
    copyOfCheckout(join(root, 'checkout'));
    const vitepress = join(root, 'node_modules/vitepress/bin/vitepress.js');
    await execa(NODE, [vitepress, 'build', 'checkout/docs/site'], { cwd: root, env: { SOURCE_URL } });
    const site = join(root, 'checkout/docs/site/.vitepress/dist');
    expect(readFileSync(join(site, 'index.html'), 'utf8')).toContain('can <em>use</em> a GitLab token');
    expect(existsSync(join(site, 'docs/quick-start/envoy.html'))).toBe(true);
    expect(brokenLinks(site)).toEqual([]);
  } finally {
    remove();
  }
});

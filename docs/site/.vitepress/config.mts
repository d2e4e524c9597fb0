/**
 * The documents as a site: `npx vitepress@1 build docs/site`. SOURCE_URL is where the repository can be browsed; links to
 * files that are no documents lead there.
 */
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type MarkdownOptions } from 'vitepress';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const SOURCE = process.env.SOURCE_URL ?? 'https://github.com/OWNER/mounted-secret-resolver';

/** A link as it is in the repository, for the site. */
function siteLink(href: string, page: string): string {
  if (/^([a-z]+:|#|\/)/.test(href)) return href;
  const [path = '', anchor] = href.split('#');
  const target = relative(ROOT, join(dirname(page), path));
  const hash = anchor === undefined ? '' : `#${anchor}`;
  if (target.endsWith('.md')) return `/${target.replace(/README\.md$/, 'index.md')}${hash}`;
  if (existsSync(join(ROOT, target, 'README.md'))) return `/${target}/index.md${hash}`;
  return existsSync(join(ROOT, target)) ? `${SOURCE}/blob/main/${target}` : href;
}

function githubAnchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}

const markdown: MarkdownOptions = {
  // Braces at the end of a cell are text.
  attrs: { disable: true },
  anchor: { slugify: githubAnchor },
  config: (md) => {
    md.core.ruler.push('site-links', ({ tokens, env }) => {
      for (const { children } of tokens) {
        for (const token of children ?? []) {
          const href = token.type === 'link_open' ? token.attrGet('href') : null;
          if (href !== null) token.attrSet('href', siteLink(href, env.path));
        }
      }
    });
  },
};

const page = (text: string, link: string) => ({ text, link });

export default defineConfig({
  title: 'mounted-secret-resolver',
  description: 'A sidecar for AI-agent pods: the agent uses a credential and never holds it.',
  srcDir: '../..',
  srcExclude: ['**/node_modules/**', 'test/**', 'dist/**', '.github/**', '**/target/**'],
  rewrites: (path) => path.replace(/README\.md$/, 'index.md'),
  cleanUrls: true,
  markdown,
  themeConfig: {
    nav: [
      page('Quick start', '/docs/quick-start/envoy'),
      page('Security', '/SECURITY'),
      page('Documents', '/docs/'),
    ],
    search: { provider: 'local' },
  },
});

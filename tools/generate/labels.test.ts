import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { LABEL_PREFIX } from '../../src/domain/kubernetes.ts';
import { Annotation, Label } from '../../src/manifest/names.ts';
import { labelFiles, withPrefix } from './labels.ts';

const OTHER = 'labels.example.com/';

it('gives every label in deploy/ another prefix, and nothing else', () => {
  const seen = new Set<string>();
  for (const [file, text] of labelFiles(new Map())) {
    const changed = withPrefix(text, OTHER);
    expect(withPrefix(changed), file).toBe(text);
    for (const [key] of changed.matchAll(/(?<=labels\.example\.com\/)[a-z-]+/g)) seen.add(LABEL_PREFIX + key);
    // Beside labels, only paths and images have this name before a slash.
    const rest = changed.match(/.{12}(?<![\w-])secret-resolver\/[\w.-]+/g) ?? [];
    for (const place of rest)
      expect(place, file).toMatch(/\/(run|etc|lib)\/secret-resolver\/|\/secret-resolver\/\w+\.md/);
  }
  const all = [...Object.values(Annotation), ...Object.values(Label)].filter((key) =>
    key.startsWith(LABEL_PREFIX),
  );
  expect([...seen].sort()).toEqual([...new Set(all)].sort());
});

it('changes the path of a label that inject notes', () => {
  expect(withPrefix('["metadata/labels/secret-resolver/injected"]', OTHER)).toBe(
    '["metadata/labels/labels.example.com/injected"]',
  );
});

it('leaves images and paths', () => {
  const text = 'image: secret-resolver/agent:1\npath: /run/secret-resolver/agent\nfile: src/inject.ts';
  expect(withPrefix(text, OTHER)).toBe(text);
  expect(withPrefix('{ secret-resolver/inject: "true" }', OTHER)).toBe(
    '{ labels.example.com/inject: "true" }',
  );
});

it('is written once in the sources', () => {
  const keys = [...Object.values(Annotation), ...Object.values(Label)].filter((key) =>
    key.startsWith(LABEL_PREFIX),
  );
  const root = join(import.meta.dirname, '../..');
  for (const file of globSync('src/**/*.ts', { cwd: root }))
    for (const key of keys)
      expect(readFileSync(join(root, file), 'utf8'), file).not.toMatch(new RegExp(`(?<!/)${key}\\b`));
});

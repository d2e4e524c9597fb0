import { expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { followAliases } from '../../src/config/yaml-aliases.ts';

const follow = (text: string, most = 100) => {
  const { targets, faults } = followAliases(parseDocument(text, { version: '1.2', schema: 'core' }), most);
  return {
    targets: [...targets].map(([alias, target]) => [alias.source, target.range?.[0]]),
    faults: faults.map(({ alias, fault }) => [fault, alias.range?.[0]]),
  };
};

test('an alias stands for the last anchor of its name before it', () => {
  expect(follow('[&a 1, *a, &a 2, *a]')).toEqual({
    targets: [
      ['a', 4],
      ['a', 14],
    ],
    faults: [],
  });
});

test('an alias without an anchor before it, and one within what it stands for', () => {
  expect(follow('[*a, &a {x: [*a, *a]}]').faults).toEqual([
    ['no-anchor', 1],
    ['within-itself', 13],
  ]);
});

test.each([
  ['each alias', '[&a 1, *a, *a, *a]', 3],
  ['those within anchors, each time', '[&a 1, &b [*a, *a], *b, *b]', 2 + 3 + 3],
  ['those within names', '{&a x: 1, *a : &b {y: *a}, z: *b}', 1 + 1 + 2],
  ['those of an empty list', '[&a [], &b [*a, *a], *b, *b]', 2 + 3 + 3],
])('%s counts', (_what, text, count) => {
  expect(follow(text, count).faults).toEqual([]);
  expect(follow(text, count - 1).faults.map(([fault]) => fault)).toEqual(['too-many']);
});

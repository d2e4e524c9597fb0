/** The documents name the resources that inject writes for the resolver, and say what they are for. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { RESOLVER_RESOURCES } from '../../src/domain/container-resources.ts';

const { cpu = '', memory = '' } = RESOLVER_RESOURCES.requests;
const SIZE = memory.replace('Mi', ' MiB');

it.each([
  [
    'README.md',
    `\`inject\` requests ${cpu} CPU and ${SIZE} for it: a reservation, so that it still serves beside`,
  ],
  ['docs/faq.md', `\`requests\` of ${cpu} CPU and ${SIZE}`],
  ['docs/faq.md', 'The CPU is a reservation, not use'],
  ['docs/scale.md', `${cpu}, ${SIZE}; `],
  ['SECURITY.md', `${cpu} is enough beside an agent that spins on every core`],
])('%s: %s', (file, sentence) => {
  const text = readFileSync(join(import.meta.dirname, '../..', file), 'utf8').replaceAll(/\s+/g, ' ');
  expect(text).toContain(sentence);
});

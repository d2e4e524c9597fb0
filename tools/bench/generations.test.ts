import { expect, it } from 'vitest';
import { newSecret } from '../../test/support/secrets.ts';
import { generation, rotationIn } from './generations.ts';

it('every value identifies its rotation, anywhere in a message', () => {
  const prefix = newSecret('rot');
  const values = generation(prefix, 1_234, 3);
  expect(Object.keys(values)).toEqual(['KEY_0', 'KEY_1', 'KEY_2']);
  const message = Buffer.concat([
    Buffer.from([10, 250, 0]),
    Buffer.from(values.KEY_1 ?? ''),
    Buffer.from([9]),
  ]);
  expect(rotationIn(message, prefix)).toBe(1_234);
  expect(rotationIn(Buffer.from('no value at all'), prefix)).toBe(-1);
});

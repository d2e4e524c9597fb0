import { SocketAddress } from 'node:net';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { AddressBudgets, addressBytes } from '../../src/observe/address-budgets.ts';

const LIMITS = { perAddress: { perSecond: 1, burst: 3 }, perNetwork: { perSecond: 2, burst: 6 } };
const hex = (bytes: Buffer | undefined) => bytes?.toString('hex');

it('gives each address a budget of its own, IPv4 as such and mapped into IPv6 the same', () => {
  const budgets = new AddressBudgets(LIMITS);
  const take = (address: string, now = 0) => hex(budgets.take(address, now));
  expect(['198.51.100.1', '::ffff:198.51.100.1', '198.51.100.1'].map((each) => take(each))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(take('198.51.100.1')).toBe('c6336401');
  expect(take('198.51.100.2')).toBeUndefined();
  expect(take('198.51.100.1', 1_000)).toBeUndefined();
});

it('limits a /64 as a whole, and lets no single address of it use that up', () => {
  const budgets = new AddressBudgets(LIMITS);
  const take = (address: string) => hex(budgets.take(address, 0));
  for (let count = 0; count < 100; count++) take('2001:db8::1');
  expect(take('2001:db8::1')).toBe('20010db8000000000000000000000001');
  // Kubelet's, in the same /64.
  expect(take('2001:db8::2')).toBeUndefined();
  expect(take('2001:db8::3')).toBeUndefined();
  expect(take('2001:db8::4')).toBeUndefined();
  expect(take('2001:db8::5')).toBe('20010db800000000');
  expect(take('2001:db8:0:1::1')).toBeUndefined();
});

it('remembers a bounded number, the most recent', () => {
  const budgets = new AddressBudgets(LIMITS);
  for (let count = 0; count < 5_000; count++) {
    budgets.take(`10.0.${count >> 8}.${count & 255}`, 0);
    budgets.take('198.51.100.1', 0);
  }
  expect(budgets.take('198.51.100.1', 0)).toBeDefined();
  // Who is remembered has two of three left. With the address above, that is the last 1,023 of 5,000.
  const left = (address: string) => [1, 2, 3].filter(() => budgets.take(address, 0) === undefined).length;
  expect(left('10.0.15.137')).toBe(2);
  expect(left('10.0.15.136')).toBe(3);
});

it('reads every address that the kernel prints', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.boolean(), (bytes, zeros) => {
      if (zeros) bytes.fill(0, 4, 12);
      // ::ffff:0:0/96 is IPv4 mapped, ::/96 IPv4 compatible: both print their end in decimal.
      if (bytes.subarray(0, 10).every((byte) => byte === 0)) bytes[0] = 0x20;
      const text = (Buffer.from(bytes).toString('hex').match(/.{4}/g) ?? []).join(':');
      const { address } = new SocketAddress({ address: text, family: 'ipv6' });
      expect(hex(addressBytes(address))).toBe(Buffer.from(bytes).toString('hex'));
    }),
  );
  expect(hex(addressBytes('fe80::1%eth0'))).toBe('fe800000000000000000000000000001');
  expect(hex(addressBytes('::1'))).toBe('00000000000000000000000000000001');
  expect(hex(addressBytes('::'))).toBe('00000000000000000000000000000000');
  expect(hex(addressBytes('127.0.0.1'))).toBe('7f000001');
});

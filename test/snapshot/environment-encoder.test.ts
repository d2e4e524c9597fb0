/** The encoder against protobuf's own: what one says the other reads, whatever the names and values are. */
import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecretValue } from '../../src/domain/secret-value.ts';
import { ProviderEnvironmentSchema } from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { EnvironmentEncoder } from '../../src/snapshot/environment-encoder.ts';
import type { ServedCredential } from '../../src/snapshot/resolve.ts';

const SANDBOX = { id: 'id', name: 'box', namespace: 'tenant' };

interface Given {
  readonly key: string;
  readonly value: Uint8Array;
  readonly provider: string;
  readonly expiresAtMs: number | undefined;
  readonly hosts: readonly string[];
}

function credential({ key, value, provider, expiresAtMs, hosts }: Given): ServedCredential {
  return {
    key,
    provider,
    value: SecretValue.from(Uint8Array.from(value)),
    reference: { namespace: 'tenant', name: 'secret', key },
    required: false,
    endpoints: hosts.map((host) => ({ host, port: 443, path: '' })),
    identity: `${provider}:${key}`,
    handle: `handle of ${provider} ${key} ${hosts.join()}`,
    expiresAtMs,
  };
}

function encoded(encoder: EnvironmentEncoder, credentials: readonly ServedCredential[], room = 0): Buffer {
  const { buffer, length } = encoder.encode(credentials, [], room);
  expect(buffer.length).toBe(length + room);
  return buffer.subarray(0, length);
}

const given = fc.record({
  key: fc.oneof(
    fc.string({ minLength: 1, unit: 'grapheme' }),
    fc.constantFrom('__proto__', 'constructor', 'hasOwnProperty', 'toString', 'valueOf'),
  ),
  // Around the lengths at which a varint grows by a byte.
  value: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 300 }),
    fc.uint8Array({ minLength: 16_370, maxLength: 16_400 }),
  ),
  provider: fc.string(),
  expiresAtMs: fc.option(fc.nat({ max: Number.MAX_SAFE_INTEGER }), { nil: undefined }),
  hosts: fc.array(fc.string({ minLength: 1 }), { maxLength: 3 }),
});

describe('the encoder of environments', () => {
  it('says what protobuf reads back, for any names and values', () => {
    fc.assert(
      fc.property(fc.uniqueArray(given, { selector: ({ key }) => key, maxLength: 8 }), (list) => {
        const message = fromBinary(
          ProviderEnvironmentSchema,
          encoded(new EnvironmentEncoder(SANDBOX), list.map(credential), 5),
        );
        const { environment, credentialProviders, credentialExpiresAtMs, staticCredentialBindings } = message;
        expect(message.sandbox).toMatchObject(SANDBOX);
        expect(new Set(Object.keys(environment))).toEqual(new Set(list.map(({ key }) => key)));
        for (const { key, value, provider, expiresAtMs, hosts } of list) {
          expect(Buffer.from(environment[key] ?? [])).toEqual(Buffer.from(value));
          expect(credentialProviders[key]).toBe(provider);
          // As entries: a name may be one that every object inherits.
          expect(Object.hasOwn(credentialExpiresAtMs, key)).toBe(expiresAtMs !== undefined);
          if (expiresAtMs !== undefined) expect(credentialExpiresAtMs[key]).toBe(BigInt(expiresAtMs));
          expect(staticCredentialBindings[key]).toMatchObject({
            credentialIdentity: `${provider}:${key}`,
            endpoints: hosts.map((host) => ({ host, port: 443, path: '' })),
          });
        }
      }),
      // The search for the smallest counterexample has no end of its own that a suite could wait for. Fewer runs are no pass.
      { interruptAfterTimeLimit: 20_000, markInterruptAsFailure: true },
    );
  });

  it('gives the same bytes for the same content, kept or not', () => {
    const some = { key: 'TOKEN', value: Buffer.from('first'), provider: 'gitlab', hosts: ['a'] };
    const [before, after] = [
      { ...some, expiresAtMs: 1 },
      { ...some, expiresAtMs: 2 },
    ].map(credential);
    const other = credential({ ...some, value: Buffer.from('other'), expiresAtMs: 1 });
    const encoder = new EnvironmentEncoder(SANDBOX);
    const fresh = (one: ServedCredential | undefined) =>
      encoded(new EnvironmentEncoder(SANDBOX), one === undefined ? [] : [one]);
    for (const one of [before, after, other, before, undefined]) {
      expect(encoded(encoder, one === undefined ? [] : [one])).toEqual(fresh(one));
    }
    expect(fresh(before)).not.toEqual(fresh(after));
    expect(fresh(before)).not.toEqual(fresh(other));
  });
});

/** How a client reads a response. */
import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { decodeEnvironment } from '../../src/client/decode.ts';
import { ProviderEnvironmentSchema } from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { newSecret } from '../support/secrets.ts';

describe('the decoding of an environment', () => {
  it.each(['constructor', 'hasOwnProperty', 'toString', 'valueOf', '__proto__'])(
    'takes for a credential named %s only what the response says of it',
    (key) => {
      const value = newSecret();
      const bytes = toBinary(
        ProviderEnvironmentSchema,
        create(ProviderEnvironmentSchema, {
          environment: Object.fromEntries([[key, Buffer.from(value)]]),
        }),
      );
      const { credentials } = decodeEnvironment(Buffer.from(bytes), '/run/x.sock');
      expect([...credentials.keys()]).toEqual([key]);
      expect(credentials.get(key)).toMatchObject({
        key,
        provider: '',
        handle: '',
        identity: '',
        endpoints: [],
        expiresAtMs: undefined,
      });
      expect(credentials.get(key)?.value.reveal().toString()).toBe(value);
    },
  );
});

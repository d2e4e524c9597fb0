/** Whatever prints, copies, compares or inspects a value finds nothing of it. */
import assert from 'node:assert/strict';
import { Console } from 'node:console';
import { type Runtime, Session } from 'node:inspector/promises';
import { PassThrough } from 'node:stream';
import { format, inspect } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { SecretValue } from '../src/domain/secret-value.ts';
import { newSecret } from './support/secrets.ts';

let text: string;
let value: SecretValue;
beforeEach(() => {
  text = newSecret();
  value = SecretValue.from(Buffer.from(text));
});
afterEach(() => value.erase());

/** How a secret may look in an output, whole or in part. */
function shapes(secret: string): string[] {
  const bytes = Buffer.from(secret);
  // Parts of Base64 that do not depend on where in a longer text the secret begins.
  const shifted = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .slice(4, -4),
  );
  return [
    secret,
    secret.slice(4, 20),
    [...secret].reverse().join(''),
    bytes.toString('hex'),
    bytes.toString('hex').match(/../g)?.slice(0, 6).join(' ') ?? '',
    ...shifted,
    [...bytes.subarray(0, 6)].join(','),
    [...bytes.subarray(0, 6)].join(', '),
    [...bytes.subarray(0, 4)].map((byte, index) => `"${index}":${byte}`).join(','),
  ];
}

function expectNothingOf(secret: string, output: string): void {
  for (const shape of shapes(secret)) expect(output.toLowerCase()).not.toContain(shape.toLowerCase());
}

const INSPECTIONS: readonly Parameters<typeof inspect>[1][] = [
  {},
  { showHidden: true, depth: Number.POSITIVE_INFINITY },
  { customInspect: false, showHidden: true, depth: 20, getters: true, showProxy: true },
  { customInspect: false, getters: 'get', maxArrayLength: null, maxStringLength: null },
  { compact: false, sorted: true, colors: true },
];

describe('text of it', () => {
  test('every way to make a string says [secret]', () => {
    expect(value.toString()).toBe('[secret]');
    expect(String(value)).toBe('[secret]');
    expect(`${value}`).toBe('[secret]');
    // biome-ignore lint/style/useTemplate: the operator is what is tested
    expect('' + value).toBe('[secret]');
    expect([value].join()).toBe('[secret]');
    expect(JSON.stringify(value)).toBe('"[secret]"');
    expect(JSON.stringify({ deep: [{ value }], map: Object.fromEntries([['k', value]]) })).toBe(
      '{"deep":[{"value":"[secret]"}],"map":{"k":"[secret]"}}',
    );
    expect(format('%s %j %o %O', value, value, value, value)).toMatch(/^\[secret\] "\[secret\]" /);
    expect(Object.prototype.toString.call(value)).toBe('[object SecretValue]');
    expect(value.toLocaleString()).toBe('[secret]');
    expect(Number(value)).toBeNaN();
    expect(stringify({ value })).toBe('value: "[secret]"\n');
  });

  test.each(INSPECTIONS)('util.inspect with %j', (options) => {
    const holders = [
      value,
      { value },
      [value],
      new Map([['k', value]]),
      new Set([value]),
      new WeakSet([value]),
      {
        get x() {
          return value;
        },
      },
    ];
    for (const holder of holders) expectNothingOf(text, inspect(holder, options));
    expectNothingOf(text, inspect(new Proxy(value, {}), options));
    expectNothingOf(text, inspect(Object.create(value), options));
  });

  test('the console and a log', async () => {
    const stream = new PassThrough();
    const console_ = new Console(stream);
    console_.log(value, { value }, '%o', value);
    console_.dir({ value }, { showHidden: true, depth: 9 });
    console_.table([{ value }]);
    const log = pino({}, stream);
    log.info({ value, nested: { list: [value] } }, 'with %s and %o', value, value);
    log.error(value);
    stream.end();
    expectNothingOf(text, (await stream.toArray()).join(''));
  });

  test('errors that carry it', () => {
    const inner = new TypeError(`inner ${value}`);
    const error = Object.assign(new Error(`with ${value}`, { cause: { value, inner } }), { value });
    const aggregate = new AggregateError([error, value], String(value));
    for (const options of INSPECTIONS) expectNothingOf(text, inspect(aggregate, options));
    expectNothingOf(text, `${error.stack} ${error.message} ${JSON.stringify(aggregate)}`);
  });

  test('a comparison that fails does not show it', () => {
    const other = { value: SecretValue.from(Buffer.from(newSecret())), n: 1 };
    const messages = [
      () => assert.deepEqual({ value, n: 2 }, other),
      () => assert.equal(value, other.value),
      () => expect({ value, n: 2 }).toEqual(other),
      () => expect(value).toBe(text.length),
    ].map((compare) => {
      try {
        compare();
      } catch (error) {
        return inspect(error, { depth: 9, showHidden: true });
      }
      return assert.fail('the comparison was to fail');
    });
    expectNothingOf(text, messages.join('\n'));
  });
});

describe('copies of it', () => {
  test('there is nothing to enumerate, spread or clone', () => {
    expect(Reflect.ownKeys(value)).toEqual([]);
    expect(Object.entries(value)).toEqual([]);
    expect({ ...value }).toEqual({});
    expect(Object.assign({}, value)).toEqual({});
    expect(Reflect.ownKeys(structuredClone({ value }).value)).toEqual([]);
    const bytes = serialize({ value });
    expectNothingOf(text, bytes.toString('latin1'));
    expect(Reflect.ownKeys((deserialize(bytes) as { value: object }).value)).toEqual([]);
  });

  test('it is frozen: nothing can be hung on it', () => {
    expect(() => Object.assign(value, { copy: 1 })).toThrow(TypeError);
    expect(() => Object.setPrototypeOf(value, {})).toThrow(TypeError);
  });
});

describe('a debugger', () => {
  /** Node's types leave out what V8 tells of private fields. */
  type Properties = Runtime.GetPropertiesReturnType & {
    readonly privateProperties?: readonly { readonly value?: Runtime.RemoteObject }[];
  };

  /** What a debugger shows of a global: its preview, and all properties that it can ask for without running code. */
  async function shownByDebugger(name: string): Promise<string> {
    const session = new Session();
    session.connect();
    const seen: unknown[] = [];
    const walk = async (object: Runtime.RemoteObject, depth: number): Promise<void> => {
      seen.push(object);
      if (object.objectId === undefined || depth === 0) return;
      const answer: Properties = await session.post('Runtime.getProperties', {
        objectId: object.objectId,
        ownProperties: true,
        generatePreview: true,
      });
      seen.push(answer);
      // Scopes of functions lead to every variable of the program: a debugger that goes there can also call reveal().
      const inner = [...answer.result, ...(answer.internalProperties ?? [])].flatMap(
        ({ value: property }) => property ?? [],
      );
      for (const property of [
        ...inner,
        ...(answer.privateProperties ?? []).flatMap(({ value: hidden }) => hidden ?? []),
      ])
        if (property.type === 'object') await walk(property, depth - 1);
    };
    try {
      const { result } = await session.post('Runtime.evaluate', {
        expression: `globalThis.${name}`,
        generatePreview: true,
      });
      await walk(result, 4);
    } finally {
      session.disconnect();
    }
    return JSON.stringify(seen);
  }

  class Careless {
    readonly #bytes: Buffer;
    constructor(bytes: Buffer) {
      this.#bytes = bytes;
    }
    get length(): number {
      return this.#bytes.length;
    }
  }

  test('its preview of what holds a value does not show it', async () => {
    const holders = {
      plain: { value },
      list: [value],
      map: new Map([['k', value]]),
      careless: new Careless(Buffer.from(text)),
    };
    Object.assign(globalThis, { holders });
    try {
      for (const name of ['plain', 'list', 'map'] as const) {
        const shown = await shownByDebugger(`holders.${name}`);
        expect(shown).toContain('SecretValue');
        expectNothingOf(text, shown);
        expect(shown).not.toContain(`"value":${text.charCodeAt(0)},`);
      }
      // The walk does find what a private field holds: byte after byte.
      const careless = await shownByDebugger('holders.careless');
      expect(careless).toContain(`"value":${text.charCodeAt(0)},`);
    } finally {
      Reflect.deleteProperty(globalThis, 'holders');
    }
  });
});

describe('what it is for', () => {
  test('it gives its bytes to who asks, and compares them', () => {
    expect(value.reveal().toString()).toBe(text);
    expect(value.byteLength).toBe(text.length);
    expect(value.equals(SecretValue.from(Buffer.from(text)))).toBe(true);
    expect(value.equals(SecretValue.from(Buffer.from(`${text}x`)))).toBe(false);
    expect(value.equals(SecretValue.from(Buffer.from(text.replace(/.$/, '!'))))).toBe(false);
  });

  test('erasing overwrites the bytes, and is final', () => {
    const bytes = value.reveal();
    value.erase();
    value.erase();
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    expect(value.byteLength).toBe(0);
    expect(() => value.reveal()).toThrow('this secret value has been erased');
    expect(value.equals(value)).toBe(false);
    expect(String(value)).toBe('[secret]');
  });

  test('erasing one value leaves its neighbours in a shared buffer alone', () => {
    const shared = Buffer.from(`${text}${text}`);
    const [first, second] = [shared.subarray(0, text.length), shared.subarray(text.length)];
    const one = SecretValue.from(first);
    one.erase();
    expect(second.toString()).toBe(text);
    const pooled = Buffer.from(text.slice(0, 8));
    const two = SecretValue.from(pooled);
    two.erase();
    expect(pooled.toString()).toBe(text.slice(0, 8));
    shared.fill(0);
  });
});

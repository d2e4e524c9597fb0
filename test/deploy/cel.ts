/**
 * Admission policies evaluated with the CEL implementation of @marcbachmann/cel-js. What it shares with the API
 * server: the language, macros, optional fields, `split`, `trim`, `join`, `matches`. What it has not: typed
 * object construction (`Object.spec{...}`), which is rewritten to maps here, so the types of those fields are
 * checked by the schemas of the patched pod instead; and RE2, in whose place stands JavaScript's RegExp.
 */
import { Environment } from '@marcbachmann/cel-js';

interface Named {
  readonly name: string;
  readonly expression: string;
}

export interface Policy {
  readonly matchConstraints?: {
    readonly objectSelector?: { readonly matchLabels: Readonly<Record<string, string>> };
  };
  readonly matchConditions?: readonly Named[];
  readonly variables?: readonly Named[];
  readonly validations?: readonly { readonly expression: string; readonly message: string }[];
  readonly mutations?: readonly {
    readonly patchType: string;
    readonly jsonPatch?: { readonly expression: string };
  }[];
}

const environment = new Environment({ unlistedVariablesAreDyn: true, enableOptionalTypes: true });

/** Maps that stand for objects have fields of several types. */
const objectEnvironment = new Environment({
  unlistedVariablesAreDyn: true,
  enableOptionalTypes: true,
  homogeneousAggregateLiterals: false,
});

/** The context of one object: variables are evaluated in their order, as far as they are needed. */
export class Evaluation {
  readonly #context: Record<string, unknown>;

  constructor(policy: Policy, object: unknown, more: Readonly<Record<string, unknown>> = {}) {
    const variables: Record<string, unknown> = {};
    this.#context = { object: integers(object), variables, ...more };
    const labels = (object as { metadata: { labels?: Record<string, string> } }).metadata.labels ?? {};
    this.matches =
      Object.entries(policy.matchConstraints?.objectSelector?.matchLabels ?? {}).every(
        ([label, value]) => labels[label] === value,
      ) && (policy.matchConditions ?? []).every(({ expression }) => this.evaluate(expression) === true);
    if (!this.matches) return;
    for (const { name, expression } of policy.variables ?? []) variables[name] = this.evaluate(expression);
  }

  readonly matches: boolean;

  evaluate(expression: string): unknown {
    const plain = withoutFlags(expression);
    const untyped = withoutTypes(plain);
    return (untyped === plain ? environment : objectEnvironment).evaluate(untyped, this.#context);
  }
}

/** Messages of the validations that do not hold. */
export function refusals(policy: Policy, object: unknown): string[] {
  const evaluation = new Evaluation(policy, object);
  if (!evaluation.matches) return [];
  return (policy.validations ?? [])
    .filter(({ expression }) => evaluation.evaluate(expression) !== true)
    .map(({ message }) => message);
}

/** CEL's integers are 64 bits wide; JSON's are read as such. */
function integers(value: unknown): unknown {
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value);
  if (Array.isArray(value)) return value.map(integers);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, part]) => part !== undefined && part !== null)
        .map(([key, part]) => [key, integers(part)]),
    );
  }
  return value;
}

/** `Object.spec.volumes{name: x}` → `{"name": x}`. */
function withoutTypes(expression: string): string {
  if (!/\b(JSONPatch|Object(\.\w+)*)\{/.test(expression)) return expression;
  return expression
    .replace(/\b(JSONPatch|Object(\.\w+)*)\{/g, '{')
    .replace(/([{,]\s*)([a-zA-Z]\w*):(?=\s)/g, '$1"$2":');
}

/** RE2 takes `(?i)` in a pattern; JavaScript does not, so the letters are spelled in both cases. */
function withoutFlags(expression: string): string {
  return expression.replace(/"\^\(\?i\)([^"]*)"/g, (_all, pattern: string) => {
    const both = pattern.replace(/[A-Z]/g, (letter) => `[${letter}${letter.toLowerCase()}]`);
    return `"^${both}"`;
  });
}

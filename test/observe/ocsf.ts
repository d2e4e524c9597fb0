/**
 * What OCSF 1.8.0 asks of the records that we write, as a JSON Schema: required attributes, enumerations, the
 * constraints of the objects in them, and no attribute that a class does not have. Ours stand under `unmapped`.
 */
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';

const text = { type: 'string', minLength: 1 } as const;
const object = (properties: object, required: readonly string[] = []) => ({
  type: 'object',
  additionalProperties: false,
  properties,
  required,
});
const atLeastOne = (...names: readonly string[]) => ({ anyOf: names.map((name) => ({ required: [name] })) });

const product = { ...object({ name: text, vendor_name: text, version: text }), ...atLeastOne('name', 'uid') };
const user = {
  ...object({
    uid: text,
    groups: { type: 'array', items: { ...object({ uid: text }), ...atLeastOne('uid', 'name') } },
  }),
  ...atLeastOne('uid', 'name'),
};
const file = object({ path: text, name: text, type_id: { enum: [0, 1, 2, 3, 4, 5, 6, 7, 99] } }, [
  'name',
  'type_id',
]);
const process_ = {
  ...object({ pid: { type: 'integer', minimum: 0 }, file }),
  ...atLeastOne('pid', 'uid', 'cpid'),
};
const actor = {
  ...object({ app_name: text, user, process: process_ }),
  ...atLeastOne('process', 'user', 'app_name'),
};
const endpoint = { ...object({ name: text, uid: text }), ...atLeastOne('name', 'uid', 'ip', 'hostname') };
const device = {
  ...object(
    {
      type_id: { enum: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 99] },
      type: text,
      uid: text,
      name: text,
    },
    ['type_id'],
  ),
  ...atLeastOne('uid', 'name', 'ip', 'hostname'),
};

interface EventClass {
  readonly uid: number;
  readonly name: string;
  readonly category: readonly [uid: number, name: string];
  readonly activities: readonly number[];
  readonly statuses: readonly number[];
  readonly attributes: object;
  readonly required: readonly string[];
}

const OUTCOME = [0, 1, 2, 99];
const CLASSES: readonly EventClass[] = [
  {
    uid: 6003,
    name: 'API Activity',
    category: [6, 'Application Activity'],
    activities: [0, 1, 2, 3, 4, 99],
    statuses: OUTCOME,
    attributes: {
      actor,
      api: object({ operation: text, service: object({ name: text }) }, ['operation']),
      src_endpoint: endpoint,
      action_id: { enum: [0, 1, 2, 3, 4, 99] },
    },
    required: ['actor', 'api', 'src_endpoint'],
  },
  {
    uid: 5019,
    name: 'Device Config State Change',
    category: [5, 'Discovery'],
    activities: [0, 1, 2, 99],
    statuses: OUTCOME,
    attributes: { device },
    required: ['device'],
  },
  {
    uid: 2004,
    name: 'Detection Finding',
    category: [2, 'Findings'],
    activities: [0, 1, 2, 3, 99],
    // The state of the case, not an outcome.
    statuses: [0, 1, 2, 3, 4, 5, 6, 99],
    attributes: { finding_info: object({ uid: text, title: text, desc: text }, ['uid']) },
    required: ['finding_info'],
  },
  {
    uid: 6002,
    name: 'Application Lifecycle',
    category: [6, 'Application Activity'],
    activities: [0, 1, 2, 3, 4, 5, 6, 7, 8, 99],
    statuses: OUTCOME,
    attributes: { app: product },
    required: ['app'],
  },
];

function schemaOf(event: EventClass): object {
  const [categoryUid, categoryName] = event.category;
  return {
    ...object(
      {
        class_uid: { const: event.uid },
        class_name: { const: event.name },
        category_uid: { const: categoryUid },
        category_name: { const: categoryName },
        activity_id: { enum: event.activities },
        type_uid: { type: 'integer' },
        time: { type: 'integer', exclusiveMinimum: 0 },
        severity_id: { enum: [0, 1, 2, 3, 4, 5, 6, 99] },
        status_id: { enum: event.statuses },
        status_detail: text,
        message: text,
        metadata: object(
          {
            version: { const: '1.8.0' },
            product,
            log_name: text,
            correlation_uid: text,
            profiles: { type: 'array', items: { const: 'security_control' } },
          },
          ['version', 'product'],
        ),
        unmapped: {
          type: 'object',
          required: ['sandbox'],
          properties: {
            sandbox: object({ id: text, name: text, namespace: text }, ['id', 'name', 'namespace']),
          },
        },
        ...event.attributes,
      },
      [
        'class_uid',
        'category_uid',
        'activity_id',
        'type_uid',
        'time',
        'severity_id',
        'metadata',
        'unmapped',
        ...event.required,
      ],
    ),
    // type_uid = class_uid * 100 + activity_id
    oneOf: event.activities.map((activity) => ({
      properties: { activity_id: { const: activity }, type_uid: { const: event.uid * 100 + activity } },
    })),
    // An attribute of a profile needs the profile.
    if: { required: ['action_id'] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: { properties: { metadata: { required: ['profiles'] } } },
  };
}

const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allErrors: true });
const validators = new Map(CLASSES.map((event) => [event.uid, ajv.compile(schemaOf(event))]));

/** What is wrong with a record; empty where it is good. */
export function ocsfFaults(record: Readonly<Record<string, unknown>>): string[] {
  const validate = validators.get(Number(record.class_uid));
  if (validate === undefined) return [`class_uid ${String(record.class_uid)} is none of ours`];
  if (validate(record)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message }: ErrorObject) => `${instancePath} ${message}`,
  );
}

/** The credential driver's part of the configuration, and what a schema cannot find wrong in it. */
import { z } from 'zod';
import { type ReferenceRule, type SecretReference, secretId } from '../../config/config.ts';
import { socketSettings } from '../../config/load.ts';
import type { ConfigPart, PartContext } from '../../config/part.ts';
import {
  callerShape,
  itemPath,
  keyGlobs,
  secretName,
  secretNamespace,
  socketSchema,
} from '../../config/schema.ts';
import { shownName } from '../../domain/shown-name.ts';
import { type GatewaySettings, gatewaySlot, REFERENCE_NAME } from './settings.ts';

const secretsSchema = z
  .array(
    z
      .strictObject({ namespace: secretNamespace, name: secretName, keys: keyGlobs })
      .describe('{namespace, name, keys} of one mounted Secret'),
  )
  .default([])
  .describe(
    'a list of {namespace, name, keys}: the mounted Secrets that it may refer to; none unless listed',
  );

const namesSchema = z
  .record(
    z.string().regex(REFERENCE_NAME, { error: 'is not a name' }),
    z
      .strictObject({ namespace: secretNamespace, name: secretName, key: itemPath })
      .describe('{namespace, name, key} of a mounted Secret'),
  )
  .default({})
  .describe('a map from NAME, which users write as secret-resolver://NAME, to {namespace, name, key}');

const workspaceSchema = z
  .strictObject({
    name: z
      .string()
      .regex(REFERENCE_NAME, { error: 'is not the name of a workspace' })
      .describe('the name of a workspace of the gateway, for example default'),
    secrets: secretsSchema,
    names: namesSchema,
  })
  .describe('{name, secrets, names} of a workspace');

const schema = z
  .strictObject({
    socket: socketSchema('/run/secret-resolver/driver/driver.sock').describe(
      "{path, mode, gid} of the driver's own Unix socket",
    ),
    callers: z
      .array(z.strictObject(callerShape).describe('{name, uid, gid, exe} of the gateway'))
      .default([])
      .describe('a list of {name, uid, gid, exe}: the gateway; nobody unless listed'),
    handleKey: z
      .strictObject({
        namespace: secretNamespace,
        name: secretName,
        key: itemPath.meta({ title: 'seals new handles, and opens them' }),
        previousKey: itemPath
          .optional()
          .meta({ title: 'opens handles that were sealed before the last change of key' }),
      })
      .describe(
        '{namespace, name, key, previousKey}: keys of a mounted Secret that handles are sealed with, 32 random bytes each',
      ),
    workspaces: z
      .array(workspaceSchema)
      .default([])
      .describe('a list of {name, secrets, names}; no workspace unless listed'),
  })
  .describe('{socket, callers, handleKey, workspaces}: a credential driver for an OpenShell gateway');

type Raw = z.infer<typeof schema>;

export const gatewayPart: ConfigPart<Raw, GatewaySettings> = {
  ...gatewaySlot,
  schema,
  optional: true,
  load: (raw, context) => {
    const settings = settingsFrom(raw, context);
    reportMistakes(settings, context);
    return settings;
  },
};

function settingsFrom(raw: Raw, { sandbox, profiles }: PartContext): GatewaySettings {
  const { handleKey } = raw;
  const own = <T extends { readonly namespace?: string | undefined }>(named: T) => ({
    ...named,
    namespace: named.namespace ?? sandbox.namespace,
  });
  const { namespace, name } = own(handleKey);
  const keys = handleKey.previousKey === undefined ? [handleKey.key] : [handleKey.key, handleKey.previousKey];
  const handleKeys = keys.map((key) => ({ namespace, name, key }));
  const workspaces = raw.workspaces.map((workspace) => ({
    name: workspace.name,
    secrets: workspace.secrets.map(own),
    names: new Map(Object.entries(workspace.names).map(([name, reference]) => [name, own(reference)])),
  }));
  return {
    socket: socketSettings(raw.socket),
    callers: raw.callers.map(({ name, uid, gid, exe }) => ({ name, uid, gid, exe, providers: [] })),
    handleKeys,
    workspaces,
    mayRead: [
      ...workspaces.flatMap(({ secrets, names }) => [...secrets, ...[...names.values()].map(oneKey)]),
      ...handleKeys.map(oneKey),
    ],
    required: [...profiles.values()].flatMap(({ credentials }) =>
      credentials.filter(({ required }) => required).map(({ envVars }) => envVars),
    ),
    enabled: false,
  };
}

function oneKey({ key, ...secret }: SecretReference): ReferenceRule {
  return { ...secret, keys: [key] };
}

/** Mistakes that would let one workspace speak for another, or a user read the key that seals all handles. */
function reportMistakes({ handleKeys, workspaces }: GatewaySettings, { source, issues }: PartContext): void {
  const report = source.reporter(issues);
  const seen = new Set<string>();
  const keySecrets = new Set(handleKeys.map(secretId));
  workspaces.forEach(({ name, secrets, names }, index) => {
    if (seen.has(name)) {
      report(
        ['gatewayDriver', 'workspaces', index, 'name'],
        `${shownName(name)} is listed twice`,
        'write everything that it may refer to in one place',
      );
    }
    seen.add(name);
    const referred = [
      ...secrets.map((secret, place) => [['secrets', place], secret] as const),
      ...[...names].map(([key, secret]) => [['names', key], secret] as const),
    ];
    for (const [place, secret] of referred) {
      if (!keySecrets.has(secretId(secret))) continue;
      report(
        ['gatewayDriver', 'workspaces', index, ...place],
        'is the Secret of handleKey',
        'keep the key in a Secret that no workspace may refer to',
      );
    }
  });
}

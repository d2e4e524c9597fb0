import { z } from 'zod';
import { endpointSchema, environmentName } from '../schema.ts';

/** OpenShell owns this shape: what we do not read is let through, whatever it is. */
export const profileFileSchema = z
  .looseObject({
    id: z
      .string()
      .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, { error: 'must be lowercase kebab-case' })
      .describe('the id of the profile, lowercase kebab-case: a provider names it as its `type`'),
    credentials: z
      .array(
        z.looseObject({
          name: z.string().min(1).describe('the name of the credential'),
          env_vars: z
            .array(environmentName)
            .default([])
            .describe('a list of environment names, the first choice first'),
          required: z
            .boolean()
            .default(false)
            .describe(
              'true to withhold a provider that takes providerProfileKeys while none of env_vars is served',
            ),
        }),
      )
      .default([])
      .describe('a list of {name, env_vars, required}'),
    endpoints: z
      .array(
        z.looseObject({
          host: endpointSchema.shape.host,
          port: z.int().min(1).max(65535).optional().describe('a TCP port from 1 to 65535'),
          ports: z.array(z.int().min(1).max(65535)).optional().describe('a list of TCP ports'),
          path: endpointSchema.shape.path,
        }),
      )
      .default([])
      .describe('a list of {host, port or ports, path}'),
  })
  .describe('An OpenShell provider profile');

export type RawProfile = z.infer<typeof profileFileSchema>;

import { z } from 'zod';
import type { ConfigPart } from '../../config/part.ts';
import { type OpenShellSettings, openshellSlot } from './settings.ts';

const schema = z
  .strictObject({
    package: z
      .string()
      .regex(/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/, { error: 'is not a protobuf package name' })
      .default('openshell.v1')
      .describe("the protobuf package of OpenShell's service, openshell.v1 unless set"),
    overLimit: z
      .enum(['warn', 'refuse'])
      .default('warn')
      .describe(
        "warn or refuse: what to do beyond the limits of OpenShell's gateway (8192 bytes a value, 32 providers, 32 credentials each)",
      ),
  })
  .prefault({})
  .describe('{package, overLimit} of the OpenShell-compatible call');

export const openshellPart: ConfigPart<z.infer<typeof schema>, OpenShellSettings> = {
  ...openshellSlot,
  schema,
  load: (raw) => raw,
};

import { asList, asMap, asNumber, asText, type Data } from '../../manifest/data.ts';
import { mountedVolumes } from '../../manifest/pod.ts';
import type { Control } from '../control.ts';

export const exeUnreadable: Control = {
  id: 'exe-unreadable',
  group: 'configuration',
  severity: 'enforce',
  threat:
    'The kernel hides the program of another UID, so an entry that names one refuses whom it was to let in.',
  promise: 'The configuration names a program only where the resolver can read which it is.',
  rule: {
    remedy: "Remove exe from the entry, or from the entry of every UID but the resolver's.",
    *find({ pod, resolver, template, parseYaml }, all) {
      for (const volume of mountedVolumes(pod, resolver)) {
        const projected = asList(asMap(volume.data.projected).sources).map(
          (source) => asMap(source).configMap,
        );
        for (const name of [volume.data.configMap, ...projected].map((source) => asMap(source).name)) {
          const found = all.find(
            ({ kind, namespace, ...object }) =>
              kind === 'ConfigMap' &&
              object.name === name &&
              (namespace === undefined || namespace === (template.object.namespace ?? namespace)),
          );
          for (const entry of Object.values(asMap(found?.data.data)).flatMap((text) =>
            entriesWithExe(text, parseYaml),
          )) {
            if (entry.uid === resolver.uid) continue;
            yield {
              path: volume.path,
              message: `${entry.field}.exe in the ConfigMap ${found?.name} never matches: the resolver cannot read the program of UID ${entry.uid}`,
            };
          }
        }
      }
    },
  },
};

/** Entries of a configuration that name a program; none where the text is no configuration. */
function entriesWithExe(
  text: unknown,
  parseYaml: (text: string) => unknown,
): { field: string; uid: number | undefined }[] {
  let config: Data;
  try {
    config = asMap(parseYaml(asText(text) ?? ''));
  } catch {
    return [];
  }
  return Object.entries({
    callers: asList(config.callers),
    'boundary.trusted': asList(asMap(config.boundary).trusted),
  }).flatMap(([field, list]) =>
    list.flatMap((value, index) => {
      const { exe, uid } = asMap(value);
      return exe === undefined ? [] : [{ field: `${field}[${index}]`, uid: asNumber(uid) }];
    }),
  );
}

/** What is chosen for one pod template: a flag wins over an annotation, and that over what an earlier injection kept. */
import {
  type ContainerResources,
  changeResources,
  RESOLVER_RESOURCES,
  RESOURCES_FORM,
  requestAboveLimit,
  SELF_TEST_RESOURCES,
} from '../domain/container-resources.ts';
import { ConfigError, type ConfigIssue } from '../domain/errors.ts';
import { asList, asMap, asText } from './data.ts';
import { issueAt, type PodTemplate } from './kinds.ts';
import { Annotation } from './names.ts';
import type { KeptSettings } from './ownership.ts';
import type { InjectionSettings } from './situation.ts';

/** Throws {@link ConfigError} where an annotation, or what a flag makes of the defaults, cannot be a pod's resources. */
export function settingsFor(
  template: PodTemplate,
  flags: InjectionSettings,
  recorded: KeptSettings,
): { settings: InjectionSettings; kept: KeptSettings } {
  const listed = asList(template.spec.imagePullSecrets).map((entry) => asMap(entry).name);
  const secrets = (flags.imagePullSecrets ?? recorded.imagePullSecrets ?? []).filter(
    (name) => !listed.includes(name),
  );
  const kept: KeptSettings = {
    envoyImage: flags.envoyImage ?? recorded.envoyImage,
    imagePullPolicy: flags.imagePullPolicy ?? recorded.imagePullPolicy,
    imagePullSecrets: secrets.length === 0 ? undefined : secrets,
    resources: flags.resources ?? recorded.resources,
    selfTestResources: flags.selfTestResources ?? recorded.selfTestResources,
  };
  const annotated = (field: 'resources' | 'selfTestResources') =>
    flags[field] ?? asText(template.annotations[Annotation[field]]) ?? recorded[field];
  const settings = {
    ...flags,
    ...kept,
    resources: annotated('resources'),
    selfTestResources: annotated('selfTestResources'),
  };
  const issues = [
    ...resourceIssues(template, 'resources', RESOLVER_RESOURCES, settings.resources),
    ...resourceIssues(template, 'selfTestResources', SELF_TEST_RESOURCES, settings.selfTestResources),
  ];
  if (issues.length > 0) throw new ConfigError(issues);
  return { settings, kept };
}

function resourceIssues(
  template: PodTemplate,
  field: 'resources' | 'selfTestResources',
  defaults: ContainerResources,
  list = '',
): ConfigIssue[] {
  const at = (message: string, hint: string) => [
    issueAt(template, ['metadata', 'annotations', Annotation[field]], message, hint),
  ];
  const changed = changeResources(defaults, list);
  if (changed === undefined) return at('is not a list of resources', `write for example ${RESOURCES_FORM}`);
  const above = requestAboveLimit(changed);
  return above === undefined
    ? []
    : at(
        `requests more ${above} than its limit of ${changed.limits[above]}`,
        `raise limits.${above} with it`,
      );
}

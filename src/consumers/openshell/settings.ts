import type { PartSettings, PartSlot } from '../../config/config.ts';
import type { OpenShellRuleOptions } from './openshell-rules.ts';

export interface OpenShellSettings extends PartSettings, OpenShellRuleOptions {
  readonly package: string;
}

export const openshellSlot: PartSlot<OpenShellSettings> = {
  field: 'openshell',
  // The service is registered under its name once.
  keep: (current, next) =>
    next === undefined ? current : { ...next, ...(current && { package: current.package }) },
};

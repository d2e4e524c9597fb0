import type { YamlSource } from './yaml-source.ts';

/** Where a loaded configuration is written, so that a finding about it can name the line. */
export interface Places {
  config?: YamlSource;
  /** By the provider's name. */
  readonly providers: Map<string, YamlSource>;
  /** By the profile's id. */
  readonly profiles: Map<string, YamlSource>;
}

export function noPlaces(): Places {
  return { providers: new Map(), profiles: new Map() };
}

/** What a rule is. A rule decides from plain data; where a finding is in the file is worked out afterwards. */

import type { Path } from './data.ts';
import type { ManifestObject, PodTemplate } from './kinds.ts';
import type { Container, Pod } from './pod.ts';
import type { Roles } from './roles.ts';

/** `error` breaks the boundary or the rotation; `warning` weakens it; `note` is for the record and never fails a run. */
export type Severity = 'error' | 'warning' | 'note';

export interface Fault {
  /** Relative to the pod spec unless `from` says otherwise, or to the object for rules about objects. */
  readonly path: Path;
  readonly from?: 'template' | 'object';
  /** What is wrong here, naming container, volume or Secret. Never a value. */
  readonly message: string;
  /** Where it is another than the rule's own. */
  readonly severity?: Severity;
}

/** A pod with a resolver in it, and what is known about its containers. */
export interface PodSubject {
  readonly pod: Pod;
  readonly resolver: Container;
  readonly template: PodTemplate;
  /** Empty where nobody says and no name is known. */
  readonly roles: Roles;
  readonly agent: Container | undefined;
  /** Whether only annotations say who is who: neither the operator, nor inject, nor a known name. */
  readonly annotatedRoles: boolean;
  /** The image that the resolver is to have, where the operator says so. */
  readonly image: string | undefined;
  /** Names of the Secrets that the resolver reads. */
  readonly secrets: ReadonlySet<string>;
  /** Reads YAML within an object, for example a ConfigMap's text. Throws where it is none. */
  readonly parseYaml: (text: string) => unknown;
}

/** An object that is no pod, and the others of the stream. */
export interface ObjectSubject {
  readonly object: ManifestObject;
  readonly all: readonly ManifestObject[];
  /** Whether a resolver of the stream reads the Secret; true for every Secret where the stream has no resolver. */
  readonly isRead: (secret: string) => boolean;
  /** Places in the object with a container of our name and no pod around it. */
  readonly unclear: readonly Path[];
  /** Annotations by which inject says that it put a resolver into a pod that has none. */
  readonly orphaned: readonly Path[];
}

/** What a rule looks for, and what to write instead. It is about pods unless it says otherwise. */
export type RuleBody = { readonly remedy: string } & (
  | {
      readonly about?: 'pod';
      readonly find: (subject: PodSubject, all: readonly ManifestObject[]) => Iterable<Fault>;
    }
  | { readonly about: 'object'; readonly find: (subject: ObjectSubject) => Iterable<Fault> }
);

export type Rule = RuleBody & {
  /** Kebab-case; part of the interface. */
  readonly id: string;
  readonly severity: Severity;
  /** What goes wrong where the rule is broken. */
  readonly why: string;
};

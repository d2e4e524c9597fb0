import { asMap } from '../../manifest/data.ts';
import type { Control } from '../control.ts';
import { relevant } from './shared/external-secret.ts';

export const immutableSecret: Control = {
  id: 'immutable-secret',
  group: 'rotation',
  severity: 'enforce',
  threat: 'An immutable Secret is replaced, never updated: running pods keep the mount of the old one.',
  promise: 'A Secret that the resolver reads can be updated.',
  rule: {
    about: 'object',
    remedy: 'Take out immutable.',
    *find(subject) {
      const { object } = subject;
      if (object.kind === 'Secret' && object.apiVersion === 'v1') {
        if (object.data.immutable !== true || !subject.isRead(object.name)) return;
        yield { path: ['immutable'], message: `the Secret ${object.name} is immutable` };
      }
      const found = relevant(subject);
      if (found === undefined || asMap(found.spec.target).immutable !== true) return;
      yield {
        path: [...found.at, 'target', 'immutable'],
        message: `${found.text} makes an immutable Secret`,
      };
    },
  },
};
